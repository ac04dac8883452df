"""Linear probes fitted to latents and to pixels, and their accuracy on test portraits."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from facemill.data.shards import decode_image
from facemill.data.splits import held_out, official_test_ids
from facemill.files import write_json
from facemill.latent.attributes import GROUPS, AttributeLabels, attribute_labels
from facemill.latent.rows import joined_rows
from facemill.taggers.probes import Probes, thumbnails

PENALTY = 0.01
"""Inverse strength of the weights' penalty, features scaled to a deviation of 1."""


def probe_latents(
    *,
    latents: list[Path],
    tags: list[Path],
    portraits: list[Path],
    booleans: list[str] | None = None,
    min_images: int,
    holdout: float,
    judge: Path,
    metrics: Path,
) -> None:
    """Fits a logistic regression to each exclusive group and boolean, and measures its balanced accuracy.

    One reads latents and is measured alone; another (the judge) reads the pixels of the portraits. The judge
    classifies edits that no tagger classifies: probes of latents see attribute vectors in the space in which these
    were fitted.

    The test portraits are those of the collection's official split, or the held-out portraits where there is none; the
    probes are fitted to neither.

    Args:
        latents: shards of latents.
        tags: shards of tags.
        portraits: shards of portraits.
        booleans: tags that are attributes by themselves.
        min_images: least number of latents with each name.
        holdout: share of the portraits that are held out.
        judge: the probes of pixels to write.
        metrics: the JSON of balanced accuracies to write.
    """
    rows, pixels = [], []
    for row in joined_rows((latents, ["latent"]), (tags, [*GROUPS, "tags"]), (portraits, ["image"])):
        pixels.append(thumbnails([decode_image(row.pop("image")["bytes"])])[0])
        rows.append(row)
    labels = attribute_labels(rows, GROUPS, booleans or [])
    is_held_out = np.array([held_out(row["id"], holdout) for row in rows])
    test_ids = official_test_ids(portraits)
    evaluated = np.array([row["id"] in test_ids for row in rows]) if test_ids else is_held_out
    fitted = ~is_held_out & ~evaluated
    accuracies = []
    for features in (np.array([row["latent"] for row in rows]), np.stack(pixels)):
        probes = fit_probes(features[fitted], labels.subset(fitted), min_images)
        accuracies.append(balanced_accuracies(probes, features[evaluated], labels.subset(evaluated)))
    probes.save(judge)  # the last ones, of pixels
    of_latents, of_pixels = accuracies
    judged = {key: {"judge_balanced_accuracy": values["balanced_accuracy"]} for key, values in of_pixels.items()}
    write_json(metrics, {key: values | judged[key] for key, values in of_latents.items()})


def fit_probes(features: np.ndarray, labels: AttributeLabels, min_images: int) -> Probes:
    """Probes for all names of groups, and all booleans, that `min_images` of the features (N, D) have (and lack).

    Each class weighs as much as the others, however rare it is.
    """
    groups: dict[str, list[str]] = {}
    tensors: dict[str, np.ndarray] = {}
    for group, names in labels.groups.items():
        counts = Counter(name for name in names if name is not None)
        frequent = sorted(name for name, count in counts.items() if count >= min_images)
        if len(frequent) > 1:
            selected = np.isin(np.array(names, object), frequent)
            groups[group] = frequent
            indices = [frequent.index(name) for name in names if name in frequent]
            tensors |= _fit(group, features[selected], indices, len(frequent))
    for name, present in labels.booleans.items():
        if min(np.count_nonzero(present), np.count_nonzero(~present)) >= min_images:
            tensors |= _fit(name, features, present.astype(int), 1)
    return Probes(groups, tensors)


def _fit(key: str, features: np.ndarray, targets: Sequence[int] | np.ndarray, outputs: int) -> dict[str, np.ndarray]:
    mean, scale = features.mean(0), features.std(0) + 1e-6
    scaled = (features - mean) / scale  # centered, so that the solver converges
    model = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=1000).fit(scaled, targets)
    weight, bias = (model.coef_ / scale).T, model.intercept_
    if len(bias) < outputs:  # two names, for which scikit-learn fits one score
        weight, bias = np.concatenate([-weight / 2, weight / 2], 1), np.concatenate([-bias / 2, bias / 2])
    return {f"{key}.weight": weight.astype(np.float32), f"{key}.bias": (bias - mean @ weight).astype(np.float32)}


def balanced_accuracies(
    probes: Probes, features: np.ndarray, labels: AttributeLabels
) -> dict[str, dict[str, float | int | None]]:
    """Balanced accuracy of the probes for each group and boolean: the mean over its classes of the recall.

    `images` is the number of portraits; those without a name that the probe knows are left out.
    """
    accuracies = {}
    probs = probes.feature_probabilities(features)
    for group, names in probes.groups.items():
        columns = [probes.names.index(name) for name in names]
        known = [i for i, name in enumerate(labels.groups[group]) if name in names]
        truth = [labels.groups[group][i] for i in known]
        accuracies[group] = _accuracy(truth, [names[k] for k in probs[known][:, columns].argmax(1)])
    for name in probes.booleans:
        present = probs[:, probes.names.index(name)] > probes.threshold
        accuracies[name] = _accuracy(labels.booleans[name], present)
    return accuracies


def _accuracy(truth: Sequence | np.ndarray, predicted: Sequence | np.ndarray) -> dict[str, float | int | None]:
    images = len(truth)
    accuracy = float(balanced_accuracy_score(truth, predicted)) if images else None
    return {"balanced_accuracy": accuracy, "images": images}
