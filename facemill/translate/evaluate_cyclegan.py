"""Evaluation of translations between two collections, in both directions, on portraits that no training saw."""

from pathlib import Path

from facemill.files import write_json
from facemill.imaging.figures import save_picture
from facemill.inference.translator import Translator
from facemill.log import log
from facemill.translate.measures import make_judges, make_ways, translate, way_figures
from facemill.translate.pictures import extremes, first_portraits
from facemill.translate.sides import read_collections


def evaluate_cyclegan(
    *,
    a2b: Path,
    b2a: Path | None = None,
    portraits: list[Path],
    other: list[Path],
    masks: list[Path] | None = None,
    unet: Path | None = None,
    other_unet: Path | None = None,
    vae: Path | None = None,
    inception_weights: Path | None = None,
    paired: bool = False,
    self_graded: list[str] | None = None,
    holdout: float,
    metrics: Path,
    picture: Path,
    best_and_worst: Path,
) -> None:
    """Measures translations of the held-out portraits by which no point of the training was chosen.

    Args:
        a2b: the translator of this collection's portraits, a safetensors file.
        b2a: that of the other's; none where one direction was trained.
        portraits: shards of this collection.
        other: shards of the other collection, with masks where they are known.
        masks: shards of this collection's masks, where there are any.
        unet: the U-Net that knows this collection, where there is one.
        other_unet: the U-Net that knows the other.
        vae: the VAE, whose features stand for a U-Net's where there is none.
        inception_weights: of FID's Inception, whose features are used where they are given.
        paired: whether portraits of one id are each other's true answers.
        self_graded: directions whose U-Net was a loss of the training: what it sees is no independent witness.
        holdout: share of the portraits that is held out.
        metrics: JSON of the figures, by direction.
        picture: PNG of the first portraits of each direction.
        best_and_worst: PNG of those with the best and the worst scores.
    """
    there, back = Translator.load(a2b), Translator.load(b2a) if b2a else None
    unets = unet, other_unet
    collections = read_collections(
        portraits, other, masks or [], unets, there.size, holdout, paired=paired, choices=False
    )
    judges = make_judges(unets, vae, inception_weights, collections[0].side.images)
    ways = make_ways([there, back], collections, judges, paired)
    done = {name: (way, translate(way)) for name, way in ways.items()}
    figures = {name: way_figures(way, translated) for name, (way, translated) in done.items()}
    for name, of_way in figures.items():
        of_way["self_graded"] = name in (self_graded or [])
        if of_way["self_graded"]:
            log.warning("cyclegan: %s is judged by the U-Net that it was trained with (mask_weight)", name)
    write_json(metrics, figures)
    save_picture(first_portraits(done), picture)
    save_picture(extremes(done), best_and_worst)
