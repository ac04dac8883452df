"""Evaluation of two people's exchanged faces, on frames that no training saw."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from facemill.avatars.expression import rank_correlation
from facemill.config.swap import SwapConfig
from facemill.data.batching import evenly_spaced
from facemill.data.shards import read_rows
from facemill.data.synthetic import Mark, hashes, write_marked
from facemill.errors import UserError
from facemill.files import write_json
from facemill.inference.segmenter import Segmenter
from facemill.networks.face_swap import SIDES, FaceSwap, Side
from facemill.networks.store import load_model
from facemill.swap.convert_faces import WAYS, Direction
from facemill.swap.faces import Face, read_faces
from facemill.swap.film_truth import expression_truth, found_truth, read_truth, written_figures
from facemill.swap.held_out import EXPRESSIVE, Exchanged, Expressions, Openness, exchange_held_out
from facemill.swap.identity import IdentityClassifier, crop_features, face_features, sface_features
from facemill.swap.swap_figures import shown_rows, swap_sheet
from facemill.swap.swap_measures import (
    Figures,
    face_error,
    found_figures,
    jitter_figure,
    mean_and_deviation,
    seam_figures,
)

SAMPLED = 48
"""Faces of each film, evenly spaced, by which expressions are measured."""


def evaluate_swap(
    *,
    model: Path,
    a: Path,
    b: Path,
    film_a: Path,
    film_b: Path,
    swapped: list[Path],
    unet: Path,
    settings: SwapConfig,
    seed: int,
    truth: Path | None = None,
    identity: Path | None = None,
    metrics: Path,
    picture: Path,
) -> None:
    """Measures a swap on the held-out frames of both films, and draws some of them.

    Args:
        model: the network, a safetensors file.
        a: `faces.parquet` of one person, with `frames.parquet` beside it.
        b: that of the other.
        film_a: film, or folder of frames or photos, of the first.
        film_b: that of the other.
        swapped: the first film with the other's face, and the other film with the first one's, as they were written,
            or the folders that hold them.
        unet: the evaluation segmenter, a U-Net; not the one that found the faces.
        settings: the section `swap`, for colors and borders.
        seed: of the slightly moved looks at expressions.
        truth: the table that `film_sample` wrote, of the sample's films.
        identity: SFace's ONNX, by which people are told apart; without it the evaluation segmenter's features.
        metrics: JSON of the figures, by direction, and of each side.
        picture: PNG of some held-out frames.

    Raises:
        UserError: A side has no held-out face, or none that is learned from.
    """
    network, segmenter = load_model(FaceSwap, model), Segmenter.load(unet)
    tables, films = {"a": a, "b": b}, {"a": film_a, "b": film_b}
    faces = {side: read_faces(table) for side, table in tables.items()}
    learned = {side: learned_crops(faces[side], tables[side], network.size) for side in SIDES}
    looks = Expressions(segmenter, seed)
    exchanged = {
        side: exchange_side(network, films[side], tables[side], side, faces[side], settings, looks) for side in SIDES
    }
    figures: Figures = {direction: direction_figures(exchanged[source]) for direction, (source, _) in WAYS.items()}
    for direction, of_direction in identity_figures(exchanged, learned, segmenter, identity).items():
        figures[direction]["identity"] = of_direction
    true_frames: dict[str, list[np.ndarray]] = {}
    for (direction, (source, target)), result in zip(WAYS.items(), swapped, strict=True):
        figures[direction]["written"] = written_figures(films[source], written_film(result, direction))
        if truth:
            of_truth = true_figures(truth, source, exchanged[source], learned[target])
            figures[direction]["truth"], true_frames[direction] = of_truth
    figures |= {side: side_figures(side, exchanged[side], faces[side], tables[side], truth) for side in SIDES}
    write_json(metrics, figures)
    mark = Mark("compositeWithTrainedAlgorithmicMedia", hashes([model]), hashes([film_a, film_b]))
    sheet = swap_sheet({direction: exchanged[source].shown for direction, (source, _) in WAYS.items()}, true_frames)
    write_marked(picture, np.asarray(sheet), mark)


def exchange_side(
    network: FaceSwap,
    film: Path,
    table: Path,
    side: Side,
    faces: Sequence[Face],
    settings: SwapConfig,
    expressions: Expressions,
) -> Exchanged:
    """What `exchange_held_out` makes of a side's film; `faces` are the usable ones of its table."""
    shown = shown_rows(sum(face.held_out for face in faces))
    sampled = {faces[i].id for i in evenly_spaced(len(faces), SAMPLED)}
    return exchange_held_out(network, film, table, side, settings, expressions, shown, sampled)


def true_figures(
    truth: Path, side: Side, exchanged: Exchanged, learned: Sequence[np.ndarray]
) -> tuple[Figures, list[np.ndarray]]:
    """How near exchanged faces come to the true ones of a side's film, and the true frames of those that are shown.

    `learned` are crops of the other person, whose mean face is the reference.
    """
    frames = read_truth(truth, side, {face.frame for face in exchanged.faces})
    figures = expression_truth(exchanged, frames, np.stack(learned).mean(0, np.float32))
    return figures, [frames[shown.number].image for shown in exchanged.shown]


def written_film(path: Path, direction: Direction) -> Path:
    """A written film, or a folder of pictures, given by itself or by the folder that holds it."""
    inside = [place for place in (path / "images", path / f"{direction}.mp4") if place.exists()]
    return inside[0] if inside else path


def learned_crops(faces: Sequence[Face], table: Path, size: int) -> list[np.ndarray]:
    """The crops of the faces that are learned from, uint8 RGB (size, size, 3) each.

    Raises:
        UserError: There is none, or none that is held out.
    """
    held_out = sum(face.held_out for face in faces)
    if not 0 < held_out < len(faces):
        raise UserError(
            f"{table}: {held_out} of {len(faces)} usable faces are held out; accepted: some, and others to learn from"
        )
    learned = (face.image for face in faces if not face.held_out)
    return [cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in learned]


def direction_figures(exchanged: Exchanged) -> Figures:
    """The figures of one direction for which nothing but its own film is needed."""
    return {
        "faces": len(exchanged.faces),
        "seam": seam_figures(np.array(exchanged.seams)),
        "color": mean_and_deviation(exchanged.colors),
        "expression": expression_figures(exchanged.openness),
        "expression_film": expression_figures(exchanged.film_openness),
        "flicker": exchanged.flicker.figures(),
    }


def expression_figures(openness: Sequence[Mapping[str, Openness]]) -> Figures:
    """By part, Spearman's correlation of how open it is before and after, of `n` faces, and its `ceiling`."""
    figures: Figures = {}
    for part in EXPRESSIVE:
        before, after, again = ([face[look][part] for face in openness] for look in ("before", "after", "again"))
        figures[part] = rank_correlation(before, after) | {"ceiling": rank_correlation(before, again)["spearman"]}
    return figures


def side_figures(side: Side, exchanged: Exchanged, faces: Sequence[Face], table: Path, truth: Path | None) -> Figures:
    """The figures of one side: how its faces are drawn again, how they were found, and how they jitter."""
    columns = zip(exchanged.reconstructed, exchanged.real, exchanged.faces, strict=True)
    errors = [face_error(drawn, real, face.mask) for drawn, real, face in columns]
    rejected = [row["rejected"] for row in read_rows([table], ["rejected"]) if row["rejected"]]
    found = found_figures(list(read_rows([table.with_name("frames.parquet")])), rejected)
    return {
        "reconstruction": mean_and_deviation(errors),
        "faces": found | (found_truth(truth, side, faces) if truth else {}),
        "jitter": jitter_figure(faces),
    }


def identity_figures(
    exchanged: Mapping[Side, Exchanged],
    learned: Mapping[Side, Sequence[np.ndarray]],
    segmenter: Segmenter,
    identity: Path | None,
) -> dict[Direction, Figures]:
    """By direction, the probabilities of the person who should be there.

    By what is classified, all of a `crop` or the `face` alone (SFace: the face alone): of what was `drawn`, of faces
    that were `swapped`, `reconstructed` by the own decoder, and of the real ones of both people, `real_a` and `real_b`.
    """
    kinds = (
        {"face": sface_features(identity)}
        if identity
        else {
            "face": face_features(segmenter),
            "crop": crop_features(segmenter),
        }
    )
    figures: dict[Direction, Figures] = {direction: {} for direction in WAYS}
    for kind, features in kinds.items():
        classifier = IdentityClassifier(features, learned["a"], learned["b"])
        for direction, (source, target) in WAYS.items():
            crops = {"swapped": exchanged[source].swapped} if kind == "face" else {}
            crops |= {"drawn": exchanged[source].drawn, "reconstructed": exchanged[source].reconstructed}
            crops |= {f"real_{side}": exchanged[side].real for side in SIDES}
            of_b = {name: classifier.probability_of_b(of_kind) for name, of_kind in crops.items()}
            figures[direction][kind] = {
                name: mean_and_deviation(values if target == "b" else 1 - values) for name, values in of_b.items()
            }
    return figures
