"""What is known of the sample's films, and whether written films have the times and the sound of their sources."""

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from facemill.avatars.regions import seven_ids
from facemill.data.film_frames import open_film
from facemill.data.shards import decode_image, decode_mask, mask_classes, read_rows
from facemill.networks.face_swap import Side
from facemill.swap.alignment import crop
from facemill.swap.faces import Face
from facemill.swap.held_out import Exchanged
from facemill.swap.pictures import read_pictures
from facemill.swap.swap_measures import Figures, on_main_face, part_errors, truth_figures


class TrueFrame(NamedTuple):
    """A frame of a drawn film."""

    image: np.ndarray
    """The other actor in place of this one, uint8 RGB (H, W, 3)."""
    mask: np.ndarray
    """Ids of `SEVEN`, uint8 (H, W)."""


def read_truth(truth: Path, side: Side, numbers: Collection[int]) -> dict[int, TrueFrame]:
    """Some frames of a film, by their numbers, from the table that `film_sample` wrote."""
    classes = mask_classes([truth])
    return {
        row["frame"]: TrueFrame(
            decode_image(row["image"]["bytes"]), seven_ids(decode_mask(row["mask"]["bytes"], classes), classes)
        )
        for row in read_rows([truth], ["film", "frame", "image", "mask"])
        if row["film"] == side and row["frame"] in numbers
    }


def expression_truth(exchanged: Exchanged, frames: dict[int, TrueFrame], mean_face: np.ndarray) -> Figures:
    """`truth_figures` of what was drawn of a film.

    Args:
        exchanged: its held-out faces.
        frames: the truth of their frames.
        mean_face: of the person who is drawn, float32 RGB (S, S, 3).
    """
    size, drawn, mean = len(mean_face), [], []
    for face, pixels in zip(exchanged.faces, exchanged.drawn, strict=True):
        true = frames[face.frame]
        true_crop = crop(true.image, face.matrix, size)
        mask = crop(true.mask, face.matrix, size, nearest=True)
        drawn.append(part_errors(pixels, true_crop, mask))
        mean.append(part_errors(mean_face, true_crop, mask))
    return truth_figures(np.array(drawn), np.array(mean))


def found_truth(truth: Path, side: Side, faces: Collection[Face]) -> Figures:
    """How well the actor of a film was found.

    Args:
        truth: the table that `film_sample` wrote.
        side: the film.
        faces: all usable ones.

    Returns:
        `found`: share of the frames with the actor in which the actor's face is; `false`: faces that are not it.
    """
    classes = mask_classes([truth])
    by_frame: dict[int, list[Face]] = {}
    for face in faces:
        by_frame.setdefault(face.frame, []).append(face)
    actors, found, false = 0, 0, 0
    for row in read_rows([truth], ["film", "frame", "mask", "figures"]):
        if row["film"] == side:
            mask = seven_ids(decode_mask(row["mask"]["bytes"], classes), classes)
            right = [row["figures"] > 0 and on_main_face(face, mask) for face in by_frame.get(row["frame"], [])]
            actors += row["figures"] > 0
            found += any(right)
            false += right.count(False)
    return {"found": found / max(1, actors), "false": false}


def written_figures(source: Path, written: Path) -> Figures:
    """Whether a film that was written from another has its `frames` (their number), `times` and `sound`.

    `sound`: whether the packets of sound are the same; None where the source has none, as a folder has none.
    """
    times = [[frame.pts * frame.time_base for frame in read_pictures(path)] for path in (source, written)]
    sounds = [sound_packets(path) for path in (source, written)]
    return {
        "count": len(times[0]),
        "frames": len(times[0]) == len(times[1]),
        "times": times[0] == times[1],
        "sound": sounds[0] == sounds[1] if sounds[0] else None,
    }


def sound_packets(path: Path) -> list[tuple[int, bytes, Fraction | None]]:
    """The packets of a film's sounds: track, contents, and time in seconds."""
    if path.is_dir():
        return []
    with open_film(path) as (film, _):
        tracks = {stream.index: number for number, stream in enumerate(film.streams.audio)}
        packets = film.demux(*film.streams.audio) if tracks else iter(())
        return [
            (
                tracks[packet.stream.index],
                bytes(packet),
                packet.pts * packet.time_base if packet.pts is not None else None,
            )
            for packet in packets
            if packet.size
        ]
