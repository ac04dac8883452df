"""How often the nearest part is the one that a portrait was drawn with."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facemill.avatars.composing import match
from facemill.avatars.matching import Library
from facemill.avatars.plausible import BEARDS
from facemill.avatars.regions import Part
from facemill.avatars.statistics import Statistics
from facemill.avatars.styles import PART_ROLES, Choice, DrawingStyle, PartRole

TOLD = 5
"""Nearest candidates that an answer names."""

Descriptors = Mapping[PartRole, np.ndarray]
"""The descriptors of a portrait's parts, float32 (D,) each."""

Nearest = dict[PartRole, list[Choice]]
"""The nearest choices of a portrait's roles, the nearest first."""


@dataclass(frozen=True)
class Answers:
    """What matching answers for one role of some portraits that were drawn in the style."""

    truths: Sequence[str]
    """The variant that each portrait was drawn with."""
    answers: Sequence[Sequence[str]]
    """The nearest variants of each, each once, the nearest first; none where the masks do not show the role."""
    variants: int
    """How many there are to choose from."""

    def hits(self, first: int = 1) -> np.ndarray:
        """Whether the truth is among the first answers of each portrait, bool (N,)."""
        return np.array([t in a[:first] for t, a in zip(self.truths, self.answers, strict=True)], bool)

    def scores(self) -> dict[str, float | int | None]:
        """Shares of right answers: of all portraits, the mean over true variants, among five, by chance; and n."""
        if not self.truths:
            return dict.fromkeys(["top1", "macro", "top5"]) | {"chance": 1 / self.variants, "n": 0}
        hits, truths = self.hits(), np.array(self.truths)
        return {
            "top1": float(hits.mean()),
            "macro": float(np.mean([hits[truths == variant].mean() for variant in np.unique(truths)])),
            "top5": float(self.hits(TOLD).mean()),
            "chance": 1 / self.variants,
            "n": len(truths),
        }

    def confusion(self) -> tuple[list[str], list[str], np.ndarray]:
        """True variants (rows), answers (columns), and the share of each row in each column; "" is no answer."""
        rows, first = sorted(set(self.truths)), [next(iter(answer), "") for answer in self.answers]
        columns = [*rows, *sorted(set(first) - set(rows))]
        counts = np.zeros((len(rows), len(columns)))
        for truth, answer in zip(self.truths, first, strict=True):
            counts[rows.index(truth), columns.index(answer)] += 1
        return rows, columns, counts / np.maximum(counts.sum(1, keepdims=True), 1)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yields a row of the table for each true variant, with the wrong answer that is most often taken for it."""
        hits, truths = self.hits(), np.array(self.truths)
        for variant in sorted(set(self.truths)):
            chosen = truths == variant
            wrong = [next(iter(self.answers[i]), "none") for i in np.flatnonzero(chosen & ~hits).tolist()]
            taken_for = Counter(wrong).most_common(1)[0][0] if wrong else ""
            share = round(float(hits[chosen].mean()), 4)
            yield {"variant": variant, "n": int(chosen.sum()), "top1": share, "taken_for": taken_for}


def told_components(style: DrawingStyle, role: PartRole) -> tuple[str, ...]:
    """The components that an answer for a role must name rightly: those in which its candidates differ, but beards.

    Beards lie in the face; they are answered for by themselves.
    """
    return tuple(name for name in _differing(style, role) if name not in BEARDS) or tuple(style.candidates[role][0])[:1]


def _differing(style: DrawingStyle, role: PartRole) -> list[str]:
    candidates = style.candidates.get(role, ())
    return [name for name in candidates[0] if len({choice[name] for choice in candidates}) > 1] if candidates else []


def variant_name(choice: Mapping[str, str | None], components: Sequence[str]) -> str:
    """A choice's variants of these components in words: `bun + longWavy`."""
    return " + ".join(choice.get(name) or "none" for name in components)


def described(parts: Mapping[PartRole, Part]) -> Descriptors:
    """The descriptors of a portrait's parts."""
    return {role: part.descriptor for role, part in parts.items()}


def statistics_of(portraits: Sequence[Descriptors]) -> Statistics:
    """The statistics of portraits that are a collection of their own."""
    found = {role: [of[role] for of in portraits if role in of] for role in PART_ROLES}
    return Statistics.of({role: np.stack(descriptors) for role, descriptors in found.items() if descriptors})


def nearest_choices(library: Library, portraits: Sequence[Descriptors], statistics: Statistics) -> list[Nearest]:
    """The nearest choices of each portrait's roles; roles that the portrait or the style lacks are absent."""
    matched = match(portraits, library, statistics)
    return [{role: [choice for choice, _ in of.nearest] for role, of in roles.items()} for roles in matched]


def answers_of(
    style: DrawingStyle,
    role: PartRole,
    told: Sequence[str],
    truths: Sequence[Mapping[str, str | None]],
    nearest: Sequence[Nearest],
) -> Answers:
    """The answers of one role.

    Args:
        style: in which the portraits were drawn.
        role: the part.
        told: the components that an answer must name rightly.
        truths: of each portrait the variant of each component.
        nearest: of each portrait the nearest choices.
    """
    answers = [list(dict.fromkeys(variant_name(choice, told) for choice in of.get(role, ()))) for of in nearest]
    variants = len({variant_name(choice, told) for choice in style.candidates[role]})
    return Answers([variant_name(truth, told) for truth in truths], answers, variants)


def all_answers(
    style: DrawingStyle, truths: Sequence[Mapping[str, str | None]], nearest: Sequence[Nearest]
) -> dict[str, Answers]:
    """The answers of each role that the style has, and of `beard`, where hair has one."""
    answers: dict[str, Answers] = {
        role: answers_of(style, role, told_components(style, role), truths, nearest)
        for role in PART_ROLES
        if role in style.candidates
    }
    if beards := [name for name in _differing(style, "hair") if name in BEARDS]:
        answers["beard"] = answers_of(style, "hair", beards, truths, nearest)
    return answers


def summary(answers: Mapping[str, Answers]) -> dict[str, Any]:
    """For each role the share of right answers, as a mean over true variants, the mean of roles, and details."""
    scores = {role: of_role.scores() for role, of_role in answers.items()}
    shares = [score["macro"] for role, score in scores.items() if role in PART_ROLES and score["macro"] is not None]
    details = {key: {role: score[key] for role, score in scores.items()} for key in ("top1", "top5", "chance")}
    return {
        **{role: score["macro"] for role, score in scores.items()},
        "mean": float(np.mean(shares)) if shares else None,
        "n": max((score["n"] or 0 for score in scores.values()), default=0),
        **details,
    }
