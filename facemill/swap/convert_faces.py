"""Faces exchanged in a film, a photo or a folder of photos, outside the workflow and in it."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from facemill.config.swap import Detector
from facemill.data.classes import SEVEN
from facemill.data.shards import write_shard
from facemill.data.walk import check_new_folder, check_replaced
from facemill.errors import UserError
from facemill.log import log
from facemill.networks.face_swap import Side
from facemill.swap.converted_film import Swap, convert_film
from facemill.swap.converted_photos import Photos, convert_photos
from facemill.swap.faces import FACES_SCHEMA, FRAMES_SCHEMA, read_rows_of
from facemill.swap.film_pieces import work_folder
from facemill.swap.find_faces import FaceFinder, find_faces
from facemill.swap.pictures import image_files, is_photo

Direction = Literal["a2b", "b2a"]

WAYS: dict[Direction, tuple[Side, Side]] = {"a2b": ("a", "b"), "b2a": ("b", "a")}
"""Whose face is replaced, and whose is drawn."""

MOST_FEATHER = 0.25


def convert_faces(
    *,
    model: Path,
    input: Path,  # noqa: A002
    direction: Literal["a2b", "b2a"],
    out: Path,
    faces: Path | None = None,
    unet: Path | None = None,
    detector: Literal["masks", "photo", "cascade", "yunet"] = "masks",
    detector_file: Path | None = None,
    color: Literal["lab", "mean", "none"] = "lab",
    blend: Literal["alpha", "poisson"] = "alpha",
    feather: float = 0.06,
    no_mark: bool = False,
    start: float | None = None,
    end: float | None = None,
    table: Path | None = None,
) -> None:
    """Replaces the faces in a film, a photo, or each photo of a folder by another person's.

    Films keep their times and their sound; frames without a face stay as they are. A film that was interrupted
    resumes when the same command is given. Each result says in its metadata that a trained network edited it, and by
    default in a corner, too. Images of a folder that cannot be read are left out, and named in the log.

    Args:
        model: a trained face swap: its folder, for example results/sample/swap, or its safetensors file.
        input: a film, an image file, or a folder of images; any sizes.
        direction: a2b draws the face of b where a's is, b2a that of a.
        out: the film to write (.mp4), of an image the PNG, of a folder another one.
        faces: the table of the input's faces, from extract_faces; without it they are found first.
        unet: without a table: the U-Net that knows the input's faces, a safetensors file or its folder.
        detector: without a table: what finds faces: masks (the U-Net's), photo, cascade or yunet.
        detector_file: of a detector: the cascade's XML, or YuNet's ONNX.
        color: how a face takes the colors of the one it replaces: lab (mean and deviation), mean or none.
        blend: alpha, or poisson, which flickers.
        feather: width of the border that fades, as a share of the face's side.
        no_mark: leaves out the visible word; the metadata stay.
        start: of a film: seconds at which the result begins,
        end: and before which it ends; sound is cut with it.
        table: Parquet to write: of each frame the number of faces, their enlargement, and why there was none.
    """
    check_options(input, direction, feather)
    is_film = not input.is_dir() and not is_photo(input)
    if not is_film and (start is not None or end is not None):
        raise UserError("--start, --end: of films; accepted: with a film as --input")
    photos = None if is_film else Photos(input, out)
    read = files_read(input, model, faces, unet, detector_file)
    if is_film:
        _check_film(input, out, start, end)
    if not input.is_dir():
        check_written("--out", out, read)
    if table:
        check_written("--table", table, [*read, *(photos.names if photos else [])])
    replaced, drawn = WAYS[direction]
    swap = Swap.load(model, drawn, color=color, blend=blend, feather=feather, marks=not no_mark)
    faces = faces_of(input, replaced, swap.network.size, faces, unet, detector, detector_file)
    if photos:
        convert_photos(swap, photos, faces, table=table)
    else:
        convert_film(swap, input, faces, out, start=start, end=end, table=table)


def check_options(source: Path, direction: str, feather: float = 0) -> None:
    """Raises `UserError` when there is no input, or a value is none that is accepted."""
    if not source.exists():
        raise UserError(f"--input {source}: no such file or folder")
    if direction not in WAYS:
        raise UserError(f"--direction {direction}: accepted: {', '.join(WAYS)}")
    if not 0 <= feather <= MOST_FEATHER:
        raise UserError(f"--feather {feather:g}: accepted: 0 to {MOST_FEATHER:g}, shares of the face's side")


def _check_film(film: Path, out: Path, start: float | None, end: float | None) -> None:
    if out.suffix.lower() != ".mp4":
        raise UserError(f"--out {out}: --input {film} is a film; accepted: a .mp4")
    first = start or 0
    if not (math.isfinite(first) and first >= 0) or (end is not None and not (math.isfinite(end) and end > first)):
        raise UserError(f"--start {first:g}, --end {end}: accepted: seconds from 0 on, the end after the start")


def check_written(option: str, path: Path, read: Iterable[Path]) -> None:
    """Raises `UserError` when a file that is written would replace one that is read, or cannot be made."""
    check_replaced(option, path, [path], read)
    if path.is_dir():
        raise UserError(f"{option} {path}: a folder; accepted: a file's name")
    check_new_folder(option, path.parent)


def files_read(source: Path, *options: Path | None) -> list[Path]:
    """The files that options name, a model's in its folder too; those of a folder of images are not among them."""
    return [path for given in (source, *options) if given for path in (given, given / "model.safetensors")]


def faces_of(
    source: Path,
    side: Side,
    size: int,
    table: Path | None,
    unet: Path | None,
    detector: Detector,
    detector_file: Path | None,
) -> Path:
    """The table of the faces in a film or in photos: the one that is given, or one in `work/`, which is made once.

    Args:
        source: the film, photo or folder.
        side: whose faces they are.
        size: side of the network's faces in pixels.
        table: the table, where there is one.
        unet: that finds them otherwise.
        detector: that finds them.
        detector_file: of the detector.

    Raises:
        UserError: The table holds the other's faces; or there is neither a table nor a U-Net.
    """
    if table:
        _check_side(table, side)
        return table
    if unet is None:
        raise UserError("--unet: missing; accepted: the U-Net that finds the faces, or their table with --faces")
    weights = unet / "model.safetensors" if unet.is_dir() else unet
    if not weights.exists():
        raise UserError(f"--unet {weights}: no such file")
    finder = FaceFinder.load(unet, detector, detector_file)
    key = {"side": side, "size": size, "detector": detector}
    read = [Path(file.path) for file in image_files(source)] if source.is_dir() else [source]
    folder = work_folder("faces", key, [*read, weights, *([detector_file] if detector_file else [])])
    found = folder / "faces.parquet"
    if not found.exists():
        faces, frames = find_faces(source, finder, side=side, size=size)
        write_shard(found.with_name("frames.parquet"), frames, FRAMES_SCHEMA)
        write_shard(found, faces, FACES_SCHEMA, SEVEN)
        log.info("convert_faces: the faces are in %s, which --faces takes", found)
    return found


def _check_side(table: Path, side: Side) -> None:
    if not table.exists():
        raise UserError(f"--faces {table}: no such file")
    first = next(read_rows_of(table, ["id"]), None)
    if first and not first["id"].startswith(f"{side}-"):
        raise UserError(f"--faces {table}: holds {first['id']}; accepted: faces of {side}, which are replaced")
