"""Figures of a conditional generator: whether portraits show what was asked for, and how they vary within it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from scipy.spatial.distance import pdist
from torch import Tensor

from facemill.config.latent import TagsConfig
from facemill.data.shards import read_rows
from facemill.imaging.figures import image_grid
from facemill.inference.editor import EditClassifier, Rendering
from facemill.inference.sampler import Sampler
from facemill.latent.attributes import GROUPS
from facemill.latent.evaluate_attributes import choose_classifier, source_of_labels
from facemill.latent.tag_sources import load_tagger
from facemill.log import log
from facemill.metrics.samples import covered
from facemill.stylegan.judge import Judge
from facemill.stylegan.portraits import StylePortraits
from facemill.taggers.probes import Probes, thumbnails
from facemill.taggers.tagger import Tagger, TaggerInput

PORTRAITS = 100
"""Portraits of each class."""

PSI = 0.7
"""Truncation at which it is measured, too, whether portraits show their class."""

SHOWN = 10
"""Seeds of the sheet."""

Scores = dict[str, float | int | str | None]


class Classifier(NamedTuple):
    """What decides whether portraits show a target."""

    labels: str
    """The source of the target's labels."""
    source: str | None
    """The one that decides, `judge` for the probes of pixels; None where nothing can."""
    shows: EditClassifier | None
    """None where nothing can decide."""


class Class(NamedTuple):
    """What a portrait can be asked for in one group of conditions."""

    column: int
    """Of the group."""
    slot: int
    group: str
    target: str
    """A name of the group, or a tag."""
    present: bool
    """Whether the portrait is to have it."""
    names: list[str]
    """Those of the group; none for a tag."""

    @property
    def title(self) -> str:
        """The class's name in metrics and pictures."""
        return self.target if self.present else f"no {self.target}"


class Labelled(Sequence[np.ndarray]):
    """Some of the real portraits, uint8 RGB (H, W, 3), decoded one by one.

    Attributes:
        slots: of their conditions, int64 (N, groups).

    Args:
        rows: real portraits.
        indices: which of them.
    """

    def __init__(self, rows: StylePortraits, indices: Sequence[int]) -> None:
        self._rows, self._indices = rows, indices
        self.slots = np.array([rows.slots(index) for index in indices], np.int64).reshape(len(indices), -1)

    @property
    def every(self) -> "Labelled":
        """All of the rows."""
        return Labelled(self._rows, range(len(self._rows)))

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: Any) -> Any:
        pixels, _ = self._rows[self._indices[index]]
        return pixels.permute(1, 2, 0).numpy()


def classes_of(conditions: Mapping[str, Sequence[str]]) -> list[Class]:
    """The classes of conditions: a group's names, of which one is shown, and each tag, which is there or not."""
    classes = []
    for column, (group, names) in enumerate(conditions.items()):
        of_group = list(names) if group in GROUPS else []
        classes += [Class(column, slot, group, name, True, of_group) for slot, name in enumerate(names)]
        if group not in GROUPS:
            classes.append(Class(column, len(names), group, group, False, of_group))
    return classes


def load_classifiers(
    classes: Sequence[Class], tags: Sequence[Path], tags_config: TagsConfig, probes: Path
) -> dict[str, Classifier]:
    """By target what decides whether it is shown: another source than that of its labels, or else probes of pixels.

    The source of the labels itself never decides. Of a target that nothing else knows the log warns.
    """
    columns = ["id", "tags", *(key for group in GROUPS for key in (group, f"{group}_source"))]
    rows = list(read_rows(list(tags), columns))
    booleans = [c.target for c in classes if not c.names]
    taggers: dict[str, Tagger] = {
        source: load_tagger(source, tags_config, booleans) for source in tags_config.sources if source != "tags"
    }
    of_pixels = Probes.load(probes, thumbnails)
    classifiers = {}
    for c in classes:
        labels = source_of_labels(rows, c.group if c.names else None, tags_config.sources)
        others = {source: tagger for source, tagger in taggers.items() if source != labels}
        source = choose_classifier(c.target, labels, others)
        tagger = of_pixels if source == "judge" else others[source]
        if tagger.knows(c.target):
            classifiers[c.target] = Classifier(labels, source, EditClassifier(tagger, c.target, c.names))
        else:
            log.warning("evaluate_stylegan: nothing can tell whether a portrait shows %s", c.target)
            classifiers[c.target] = Classifier(labels, None, None)
    return classifiers


def slots_of_class(sampler: Sampler, seeds: Sequence[int], c: Class) -> Tensor:
    """Slots of a class's portraits, int64 (N, groups): those of other groups are drawn for each seed."""
    slots = sampler.slots(seeds)
    slots[:, c.column] = c.slot
    return slots


def class_figures(
    sampler: Sampler,
    judge: Judge,
    classifiers: Mapping[str, Classifier],
    training: Labelled,
    features: np.ndarray,
    unseen: Labelled,
) -> dict[str, object]:
    """Scores of each class, and their means over classes.

    Args:
        sampler: the generator.
        judge: looks at portraits.
        classifiers: by target what decides whether it is shown.
        training: portraits of the training.
        features: the judge's of these, (N, D).
        unseen: held-out portraits.

    Returns:
        `class_accuracy`: the share of portraits that show the class asked for; `_truncated`: the same at `PSI` of the
        way from the class's mean; `_real`: of the held-out portraits of the class, which is the classifier's own;
        `_over_real`: the first over the last, of the classes that have both. `within_class_diversity`: the mean
        distance of two portraits of a class, over that of the training's. `within_class_recall`: the share of the
        training's among the generated ones. All are means over classes, which stand in `per_class`, with the sources of
        `labels` and `classifier`.
    """
    per_class: dict[str, Scores] = {}
    seeds = range(PORTRAITS)
    for c in classes_of(sampler.generator.conditions):
        slots = slots_of_class(sampler, seeds, c)
        images, truncated = (sampler.generate(sampler.truncated(seeds, psi, slots)) for psi in (1, PSI))
        real = [image for image, slot in zip(unseen, unseen.slots[:, c.column], strict=True) if slot == c.slot]
        own = judge.features(images)
        others = features[training.slots[:, c.column] == c.slot]
        classifier = classifiers[c.target]
        scores: Scores = {"labels": classifier.labels, "classifier": classifier.source}
        scores |= {"portraits": len(others), "held_out": len(real)}
        for key, pictures in (("", images), ("_truncated", truncated), ("_real", np.array(real))):
            scores[f"accuracy{key}"] = accuracy(judge, classifier.shows, c, pictures)
        real_diversity = pdist(others).mean() if len(others) > 1 else 0
        scores["diversity"] = float(pdist(own).mean() / real_diversity) if real_diversity else None
        scores["recall"] = float(covered(others, own).mean()) if len(others) else None
        per_class[c.title] = scores
    means = {key: mean_of(per_class, key) for key in ("accuracy", "accuracy_truncated", "accuracy_real")}
    return {f"class_{key}": value for key, value in means.items()} | {
        "class_accuracy_over_real": accuracy_over_real(per_class),
        "within_class_diversity": mean_of(per_class, "diversity"),
        "within_class_recall": mean_of(per_class, "recall"),
        "per_class": per_class,
    }


def accuracy_over_real(per_class: Mapping[str, Scores]) -> float | None:
    """The mean accuracy over that of real portraits, of the classes that have both; None where the latter is 0."""
    keys = "accuracy", "accuracy_real"
    both = {name: scores for name, scores in per_class.items() if None not in [scores[key] for key in keys]}
    generated, real = (mean_of(both, key) for key in keys)
    return generated / real if generated is not None and real else None


def mean_of(per_class: Mapping[str, Scores], key: str) -> float | None:
    """The mean of a score over the classes that have it; None without any."""
    values = [value for scores in per_class.values() if isinstance(value := scores[key], float)]
    return float(np.mean(values)) if values else None


def accuracy(judge: Judge, classifier: EditClassifier | None, c: Class, images: np.ndarray) -> float | None:
    """The share of images, uint8 RGB (N, H, W, 3), that show a class; None where nothing can tell."""
    if classifier is None or not len(images):
        return None
    large = judge.enlarged(images)
    portraits = judge.portraits(images, judge.masks(images)[0]) if judge.classes else [TaggerInput(i) for i in large]
    shown = classifier.predictions([Rendering(portrait, None) for portrait in portraits], [c.present] * len(images))
    return float(shown.mean())


@torch.inference_mode()
def class_grid(sampler: Sampler) -> Image.Image:
    """Seeds 0 to 9, each in a column in which it is asked for one class after the other."""
    seeds = range(SHOWN)
    classes = classes_of(sampler.generator.conditions)
    rows = [list(sampler.generate(sampler.truncated(seeds, 1, slots_of_class(sampler, seeds, c)))) for c in classes]
    captions = [c.title.replace("_", " ") for c in classes]
    return image_grid(rows, [str(seed) for seed in seeds], captions, cell=sampler.generator.height)
