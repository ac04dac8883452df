"""Evaluation of StyleGAN: fidelity, diversity and memory, truncation, and the ways between portraits."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from facemill.config.latent import TagsConfig
from facemill.data.dataset import sample_rows
from facemill.errors import UserError
from facemill.files import atomic_write, write_json
from facemill.imaging.figures import image_grid, save_picture
from facemill.inference.sampler import BATCH, Sampler
from facemill.networks.store import model_settings
from facemill.stylegan.classes import Labelled, class_figures, class_grid, classes_of, load_classifiers
from facemill.stylegan.conditions import Conditions, read_conditions
from facemill.stylegan.figures import Figures, Reference, all_figures, figures, order
from facemill.stylegan.judge import Judge, Looks
from facemill.stylegan.path_length import PAIRS, midpoints, path_lengths
from facemill.stylegan.portraits import Kinds, StylePortraits, portrait_size
from facemill.stylegan.validity import write_limits

MOST = 4000
"""Most portraits of each kind that are compared."""

CURVE_MOST = 500
"""Most portraits of each point of the truncation curve."""

PSIS = (0, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
"""Truncations of the curve."""

MIN_HELD_OUT = 10
SHEET = 10
"""Rows and columns of the sheet of samples."""
NEIGHBORS = 12
"""Samples, and held-out portraits, that are shown beside the nearest of the training."""


def evaluate_stylegan(
    *,
    model: Path,
    curves: Path,
    portraits: list[Path],
    gate: Path | None = None,
    evaluator: Path | None = None,
    labeller: Path | None = None,
    vae: Path | None = None,
    inception_weights: Path | None = None,
    tags: list[Path] | None = None,
    probes: Path | None = None,
    tags_config: TagsConfig,
    holdout: float,
    metrics: Path,
    truncation: Path,
    truncation_picture: Path,
    samples: Path,
    neighbors: Path,
    classes: Path | None = None,
    mask_limits: Path | None = None,
) -> None:
    """Measures portraits of seeds 0 to n - 1 beside held-out ones; n is as many as the training's, at most 4,000.

    Args:
        model: the generator, a safetensors file.
        curves: the training's curves.
        portraits: shards of the collection.
        gate: shard that says which portraits are accepted, where there are masks.
        evaluator: a U-Net that did not label the training set, for features, where there are masks.
        labeller: the U-Net that draws masks, where there are masks.
        vae: the VAE, whose features stand for the U-Net's where there are no masks.
        inception_weights: of FID's Inception, whose features are used where they are given.
        tags: shards of the portraits' tags, for a generator with conditions.
        probes: linear probes of pixels, which tell what no other source can, for one with conditions.
        tags_config: sources of tags, and palettes of colors.
        holdout: share of the portraits that is held out.
        metrics: JSON of the metrics.
        truncation: CSV of the figures at each truncation.
        truncation_picture: PNG of the same seeds at each truncation.
        samples: PNG of seeds 0 to 99.
        neighbors: PNG of the samples nearest to a training portrait, with it.
        classes: PNG of the same seeds in each class, of a generator with conditions.
        mask_limits: JSON of what the masks of the training have, those of `valid`, where there are masks.
    """
    sampler = Sampler.load(model)
    kinds = Kinds.of(portraits, gate, holdout)
    training, unseen = real_portraits(sampler, portraits, conditions_of(model, sampler, tags, kinds), kinds, holdout)
    judge = Judge(portrait_size(portraits), evaluator, labeller, vae, inception_weights, tags_config)
    reference = look_at_real(judge, training, unseen, mask_limits)
    looks = look_at_seeds(judge, sampler, len(reference.training))
    curve = truncation_curve(judge, sampler, reference, truncation, truncation_picture)
    result = all_figures(looks, reference) | ways(judge, sampler, reference) | last_of_curves(curves)
    if tags and probes and classes:
        save_picture(class_grid(sampler), classes)
        classifiers = load_classifiers(classes_of(sampler.generator.conditions), tags, tags_config, probes)
        result |= class_figures(sampler, judge, classifiers, training, reference.training.features, unseen)
    write_json(metrics, result | {"truncation_order": order(curve), "features": judge.features_name})
    save_picture(sample_grid(sampler), samples)
    save_picture(neighbor_grid(sampler, looks, reference, training.every, unseen), neighbors)


def conditions_of(model: Path, sampler: Sampler, tags: list[Path] | None, kinds: Kinds) -> Conditions:
    """The conditions of the portraits, as the training read them.

    Raises:
        UserError: They are not those of the generator.
    """
    min_images = model_settings(model).get("min_images", 1)
    conditions = read_conditions(tags or [], list(sampler.generator.conditions), min_images, kinds.training)
    if conditions.names != sampler.generator.conditions:
        raise UserError(
            f"{model}: a model of the conditions {sampler.generator.conditions}; accepted: one of those of the tags, "
            f"{conditions.names}"
        )
    return conditions


def real_portraits(
    sampler: Sampler, portraits: list[Path], conditions: Conditions, kinds: Kinds, holdout: float
) -> tuple[Labelled, Labelled]:
    """The portraits of the training and the held-out ones, at most `MOST` of each.

    Raises:
        UserError: Fewer than `MIN_HELD_OUT` are held out.
    """
    rows = [StylePortraits(portraits, sampler.generator.height, conditions, kind) for kind in kinds]
    training, unseen = (Labelled(of_kind, sample_rows(of_kind, MOST)) for of_kind in rows)
    if len(unseen) < MIN_HELD_OUT:
        raise UserError(
            f"holdout: found {holdout}, which holds out {len(unseen)} portraits; accepted: a share that holds out "
            f"{MIN_HELD_OUT} or more"
        )
    return training, unseen


def look_at_real(judge: Judge, training: Labelled, unseen: Labelled, mask_limits: Path | None) -> Reference:
    """What the judge sees of the training's portraits and of the held-out ones.

    All the portraits of the training, and their mirror images, are compared by what needs no masks.

    Writes the limits of the training's masks, where there are any.
    """
    mirrored = judge.compare_all(np.ascontiguousarray(image[:, ::-1]) for image in training.every)
    seen = judge.look_at_all(training), judge.compare_all(training.every), mirrored, judge.look_at_all(unseen)
    reference = Reference.of(*seen, judge.groups, judge.classes)
    if mask_limits and reference.limits and reference.classes:
        write_limits(mask_limits, reference.limits, reference.classes)
    return reference


def look_at_seeds(judge: Judge, sampler: Sampler, count: int, psi: float = 1) -> Looks:
    """What the judge sees of the portraits of seeds 0 to count - 1, at a truncation; they do not stay in memory."""
    styles = sampler.truncated(range(count), psi)
    return judge.look_at_all(image for batch in styles.split(BATCH) for image in sampler.generate(batch))


def truncation_curve(judge: Judge, sampler: Sampler, reference: Reference, table: Path, picture: Path) -> list[Figures]:
    """The figures of `CURVE_MOST` seeds, or of as many as the training's portraits, at each of `PSIS`.

    Writes them as a CSV table, and the picture of a row of portraits at each.
    """
    count = min(len(reference.training), CURVE_MOST)
    curve = [
        {"psi": psi, "samples": count} | figures(look_at_seeds(judge, sampler, count, psi), reference) for psi in PSIS
    ]
    write_curve(table, curve)
    save_picture(truncation_grid(sampler, curve), picture)
    return curve


def ways(judge: Judge, sampler: Sampler, reference: Reference) -> Figures:
    """`path_length` between portraits, and with masks `midpoints_valid`, the share of valid ones halfway.

    `path_length_features` is the name of its features: a U-Net's or a VAE's, which need no rounded pixels.
    """
    result: Figures = {"path_length": path_lengths(sampler, judge.exact_features, PAIRS)}
    result["path_length_features"] = judge.network_name
    if reference.classes:
        between = {way: judge.look_at_all(images) for way, images in midpoints(sampler, PAIRS).items()}
        result["midpoints_valid"] = {way: float(reference.valid(seen).mean()) for way, seen in between.items()}
    return result


def last_of_curves(curves: Path) -> Figures:
    """`images`, how many the training saw, and `overfit`, its mean over the last tenth of the curves."""
    with curves.open(newline="") as file:
        rows = list(csv.DictReader(file))
    last = [float(row["overfit"]) for row in rows[-max(len(rows) // 10, 1) :] if row.get("overfit")]
    return {"images": int(rows[-1]["images"]), "overfit": float(np.mean(last)) if last else None}


def write_curve(path: Path, curve: list[Figures]) -> None:
    """Writes a row for each truncation; of the colors their total variation by group."""
    rows = []
    for point in curve:
        colors = {f"colors_{group}": value for group, value in point.get("colors", {}).items()}
        rows.append({key: value for key, value in point.items() if key != "colors"} | colors)
    with atomic_write(path) as tmp, tmp.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def sample_grid(sampler: Sampler) -> Image.Image:
    """Seeds 0 to 99, as they come."""
    images = sampler.generate(sampler.truncated(range(SHEET**2), 1))
    return image_grid([list(row) for row in np.split(images, SHEET)], cell=sampler.generator.height)


def truncation_grid(sampler: Sampler, curve: list[Figures]) -> Image.Image:
    """Seeds 0 to 9 at each truncation, with figures of that truncation."""
    rows = [list(sampler.generate(sampler.truncated(range(SHEET), point["psi"]))) for point in curve]
    shown = [key for key in ("valid", "precision", "recall") if key in curve[0]]
    captions = [f"psi {p['psi']:g}:  " + "  ".join(f"{key} {p[key]:.0%}" for key in shown) for p in curve]
    return image_grid(rows, captions=captions, cell=sampler.generator.height)


def neighbor_grid(
    sampler: Sampler, looks: Looks, reference: Reference, training: Labelled, unseen: Labelled
) -> Image.Image:
    """The samples nearest to a training portrait above it, and below the same of the held-out portraits."""
    grid = []
    for seen, images in ((looks, None), (reference.held_out, unseen)):
        found = reference.nearest(seen)
        closest = np.argsort(found.distances, kind="stable")[:NEIGHBORS].tolist()
        grid.append([images[i] for i in closest] if images else list(sampler.generate(sampler.truncated(closest, 1))))
        pairs = [(training[found.indices[i]], found.mirrored[i]) for i in closest]
        grid.append([image[:, ::-1] if mirrored else image for image, mirrored in pairs])
    captions = ["generated", "nearest of the training", "held out", "nearest of the training"]
    return image_grid(grid, captions=captions, cell=sampler.generator.height)
