"""A sheet of a few converted frames in all settings, to choose from before a film is converted."""

from itertools import product
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np

from facemill.config.swap import Blend, Color
from facemill.data.batching import evenly_spaced
from facemill.data.synthetic import draw_mark, write_marked
from facemill.errors import UserError
from facemill.imaging.figures import image_grid
from facemill.log import log
from facemill.swap.alignment import paste_box
from facemill.swap.convert_faces import WAYS, check_options, check_written, faces_of, files_read
from facemill.swap.converted_film import Swap, check_has_face
from facemill.swap.converter import Converter, Drawn
from facemill.swap.faces import Face, read_rows_of
from facemill.swap.find_faces import read_pictures
from facemill.swap.frame_faces import Shot, shots
from facemill.swap.pictures import image_files

FRAMES = 8
FEATHERS = (0.03, 0.06, 0.12)

_CELL = 144


def preview_swap(
    *,
    model: Path,
    input: Path,  # noqa: A002
    direction: Literal["a2b", "b2a"],
    picture: Path,
    faces: Path | None = None,
    unet: Path | None = None,
    detector: Literal["masks", "photo", "cascade", "yunet"] = "masks",
    detector_file: Path | None = None,
) -> None:
    """Shows eight frames of a film, or photos, converted in all settings of color, blend and feather.

    Args:
        model: a trained face swap: its folder, for example results/sample/swap, or its safetensors file.
        input: a film, an image file, or a folder of images; any sizes.
        direction: a2b draws the face of b where a's is, b2a that of a.
        picture: the PNG to write.
        faces: the table of the input's faces, from extract_faces; without it they are found first.
        unet: without a table: the U-Net that knows the input's faces, a safetensors file or its folder.
        detector: without a table: what finds faces: masks (the U-Net's), photo, cascade or yunet.
        detector_file: of a detector: the cascade's XML, or YuNet's ONNX.
    """
    check_options(input, direction)
    if picture.suffix.lower() != ".png":
        raise UserError(f"--picture {picture}: accepted: a .png")
    photos = [Path(file.path) for file in image_files(input)] if input.is_dir() else []
    check_written("--picture", picture, [*files_read(input, model, faces, unet, detector_file), *photos])
    replaced, side = WAYS[direction]
    swap = Swap.load(model, side)
    faces = faces_of(input, replaced, swap.network.size, faces, unet, detector, detector_file)
    check_has_face(faces, input)
    chosen = _chosen(input, faces)
    pixels, first = [shot.frame.pixels for shot in chosen], [shot.faces()[0] for shot in chosen]
    drawn = swap.converter().draw(pixels, first)
    rows = {"input": [_around(*one) for one in zip(pixels, first, strict=True)]}
    for color, blend, feather in product(get_args(Color), get_args(Blend), FEATHERS):
        converter = Converter(swap.network, side, color=color, blend=blend, feather=feather)
        converted = [_converted(converter, *one) for one in zip(pixels, first, drawn, strict=True)]
        rows[f"{color}, {blend}, {feather:g}"] = converted
    columns = [f"{shot.frame.time:.1f} s" for shot in chosen]
    sheet = image_grid(list(rows.values()), columns, list(rows), cell=_CELL)
    write_marked(picture, draw_mark(np.asarray(sheet)), swap.mark(input))
    log.info("preview_swap: %d frames, rows of color, blend and feather, in %s", len(chosen), picture)


def _chosen(source: Path, faces: Path) -> list[Shot]:
    """Frames with a usable face, evenly spaced among these."""
    usable = sorted({row["frame"] for row in read_rows_of(faces, ["frame", "rejected"]) if not row["rejected"]})
    wanted = {usable[index] for index in evenly_spaced(len(usable), FRAMES)}
    return [shot for shot in shots(read_pictures(source), faces, source, to_end=True) if shot.frame.number in wanted]


def _converted(converter: Converter, pixels: np.ndarray, face: Face, drawn: Drawn) -> np.ndarray:
    """The place around a face of a frame, with another face; no other frame has a share in its colors."""
    converter.transfers.clear()
    return _around(converter.compose(pixels, face, drawn).pixels, face)


def _around(pixels: np.ndarray, face: Face) -> np.ndarray:
    """The part of a frame that a face's crop covers, at the size at which it is shown: uint8 RGB."""
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = paste_box(face.matrix, width, height) or (0, 0, width, height)
    part = pixels[y0:y1, x0:x1]
    scale = _CELL / max(part.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(part, None, fx=scale, fy=scale, interpolation=method)
