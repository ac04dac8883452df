"""The faces of a film or of photos as a table, for training and for swapping."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from facemill.config.swap import Detector
from facemill.data.classes import SEVEN
from facemill.data.names import as_key
from facemill.data.shards import write_shard
from facemill.data.walk import check_new_folder, check_replaced
from facemill.errors import UserError
from facemill.ingest.culling_sheet import read_lists
from facemill.log import log
from facemill.networks.face_swap import Side
from facemill.swap.faces import FACES_SCHEMA, FRAMES_SCHEMA
from facemill.swap.faces_picture import draw_faces
from facemill.swap.find_faces import FaceFinder, find_faces, look_of_photo
from facemill.swap.rejects import OTHER_PERSON, frame_rows, hold_out, reject_by_hand

FEW = 10
"""Fewer faces that are held out are named in the log: figures of them tell little."""

MULTIPLE = 16
"""Of it a face's side in the network is a multiple."""


def extract_faces(
    *,
    film: Path,
    unet: Path,
    side: Side,
    size: int,
    faces: Path,
    frames: Path,
    detector: Detector = "masks",
    detector_file: Path | None = None,
    like: Path | None = None,
    rejected: list[Path] | None = None,
    holdout: float = 0.0,
    picture: Path | None = None,
) -> None:
    """Finds the faces of a person in a film or in photos, aligned by their eyes and mouths, with their masks.

    Args:
        film: a film, a folder of its frames, all of one size, or of photos of several sizes, or one photo.
        unet: the U-Net, a safetensors file or the folder that holds it.
        side: whose faces they are: begins their ids.
        size: of the faces in the network, a multiple of 16 pixels; the crops have twice as many a side.
        faces: Parquet to write, a row a face; those that are not used are there, too, with the reason.
        frames: Parquet to write, a row a frame: how many faces of it are used, and why none is.
        detector: masks (the U-Net's), photo (OpenCV's cascade of photographed faces), cascade or yunet.
        detector_file: the cascade's XML, or YuNet's ONNX.
        like: a photo of the person; without it, the one that is seen most.
        rejected: lists of faces that culling pages exported.
        holdout: share of each stretch of the film, at its end, that nothing is learned from.
        picture: PNG to write of faces evenly spaced in time, and of those that are not used.

    Raises:
        UserError: An input cannot be read, an output cannot be written or is an input, or no face can be used.
    """
    if not 0 <= holdout < 1 or size < MULTIPLE or size % MULTIPLE:
        accepted = f"0 to below 1, and a multiple of {MULTIPLE} pixels"
        raise UserError(f"holdout {holdout:g}, size {size}; accepted: {accepted}")
    inputs = [path for path in (film, unet, detector_file, like, *(rejected or [])) if path]
    _check_outputs({"--faces": faces, "--frames": frames, "--picture": picture}, inputs)
    ids = read_lists(rejected or [], "swap.rejected_faces")
    finder = FaceFinder.load(unet, detector, detector_file)
    look = look_of_photo(like, finder) if like else None
    rows, table = find_faces(film, finder, side=side, size=size, like=look)
    if not rows:
        raise UserError(f"{film}: no face in any of its {len(table)} frames; accepted: films with a face")
    if like and all(row["rejected"] == OTHER_PERSON for row in rows):
        raise UserError(
            f"--like {like}: nobody in {film} looks like it; accepted: somebody who is there, in like light"
        )
    _warn_of_unknown(ids, rows, side)
    rows = hold_out(reject_by_hand(rows, ids), holdout)
    table = frame_rows([(row["frame"], row["pts"], row["time"]) for row in table], rows)
    _tell(film, rows, table)
    held_out = sum(row["held_out"] for row in rows)
    if holdout and held_out < FEW:
        log.warning("%s: %d faces are held out; figures of so few tell little", film, held_out)
    write_shard(faces, rows, FACES_SCHEMA, SEVEN)
    write_shard(frames, table, FRAMES_SCHEMA)
    if picture:
        draw_faces(rows, picture)


def _check_outputs(outputs: Mapping[str, Path | None], inputs: Sequence[Path]) -> None:
    for option, path in outputs.items():
        if path:
            check_replaced(option, path, [path], inputs)
            check_new_folder(option, path.parent)


def _warn_of_unknown(ids: Collection[str], rows: Sequence[dict], side: Side) -> None:
    unknown = {name for name in ids if name.startswith(f"{side}-")} - {as_key(row["id"]) for row in rows}
    if unknown:
        log.warning("swap.rejected_faces: %d ids name no face, the first: %s", len(unknown), min(unknown))


def _tell(film: Path, rows: Sequence[dict], table: Sequence[dict]) -> None:
    """Logs what is used and what is not. Raises `UserError` where no face is used."""
    why = Counter(row["rejected"] for row in rows)
    usable = why.pop(None, 0)
    listed = ", ".join(f"{count} {reason}" for reason, count in sorted(why.items()))
    if not usable:
        raise UserError(f"{film}: none of its {len(rows)} faces can be used ({listed}); accepted: clear, large faces")
    with_face = sum(row["faces"] > 0 for row in table)
    log.info("%s: a face in %d of %d frames; not used: %s", film, with_face, len(table), listed or "none")
