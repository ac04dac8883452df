"""How stable choices are when a portrait moves a little, and how many variants they use.

Either can be had for nothing, one variant for all is perfectly stable: they are to be read side by side.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from facemill.avatars.retrieval import Nearest
from facemill.avatars.styles import PART_ROLES, DrawingStyle, PartRole

ROTATION, SCALE, SHIFT = 2, 0.02, 1.5
"""Greatest move: degrees, share of the size, pixels of 128."""

RAGGED = 0.7
"""Standard deviation of what a mask's borders move, in pixels of 128."""


def moved(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A portrait and its mask, moved a little, the mask with ragged borders.

    Args:
        image: uint8 RGB (H, W, 3).
        mask: class ids, uint8 (H, W).
        rng: of the move.
    """
    height, width = mask.shape
    pixel = max(height, width) / 128
    angle, scale = rng.uniform(-ROTATION, ROTATION), rng.uniform(1 - SCALE, 1 + SCALE)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    matrix[:, 2] += rng.uniform(-SHIFT, SHIFT, 2) * pixel
    turned = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
    source = cv2.transform(grid, cv2.invertAffineTransform(matrix).astype(np.float32))
    cells = (max(1, round(height / pixel)), max(1, round(width / pixel)), 2)  # a border's steps are pixels of 128
    steps = rng.normal(0, RAGGED * pixel, cells).astype(np.float32)
    source = source + cv2.resize(steps, (width, height), interpolation=cv2.INTER_LINEAR)
    ragged = cv2.remap(mask, source[..., 0], source[..., 1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return turned, ragged


def effective(choices: Sequence[str]) -> float | None:
    """The effective number of variants, the exponential of the choices' entropy; None without any choice."""
    counts = np.array(list(Counter(choices).values()), float)
    shares = counts / counts.sum() if len(counts) else counts
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else None


def main_component(style: DrawingStyle, role: PartRole) -> str:
    """The main component of a role, such as hair's `hair` or `top`: the first of its choices."""
    return next(iter(style.candidates[role][0]))


def stability(
    style: DrawingStyle,
    all_choices: Sequence[Nearest],
    before: Sequence[Nearest],
    after: Sequence[Nearest],
) -> dict[PartRole, dict[str, float | int | None]]:
    """For each role of which the style has more than one variant:

    `unchanged`, the share of portraits whose variant is the same after a move; `effective`, the effective number of
    variants of all portraits, `of` how many there are; `all_unchanged` and `all_effective`, the same where all
    components of the role count, not only the main one; and `n`, the number of portraits that were moved.

    Args:
        style: the drawing style.
        all_choices: of all portraits.
        before: of some portraits.
        after: of the same portraits, moved.
    """
    return {
        role: scores
        for role in PART_ROLES
        if role in style.candidates
        if (scores := _of_role(style, role, all_choices, before, after))["of"] > 1  # type: ignore[operator]
    }


def _of_role(
    style: DrawingStyle,
    role: PartRole,
    all_choices: Sequence[Nearest],
    before: Sequence[Nearest],
    after: Sequence[Nearest],
) -> dict[str, float | int | None]:
    """The scores of one role, as `stability` names them."""
    main, pairs = main_component(style, role), list(zip(before, after, strict=True))
    both = [(b[role][0], a[role][0] if role in a else None) for b, a in pairs if role in b]
    same = [a is not None and a[main] == b[main] for b, a in both]
    all_same = [a == b for b, a in both]
    chosen = [of[role][0] for of in all_choices if role in of]
    return {
        "unchanged": float(np.mean(same)) if same else None,
        "effective": effective([choice[main] for choice in chosen]),
        "of": len({choice[main] for choice in style.candidates[role]}),
        "all_unchanged": float(np.mean(all_same)) if all_same else None,
        "all_effective": effective([str(sorted(choice.items())) for choice in chosen]),
        "n": len(both),
    }


def mean_of_styles(
    styles: Mapping[str, Mapping[PartRole, Mapping[str, float | int | None]]],
) -> dict[PartRole, dict[str, float | None]]:
    """The means over styles of `unchanged`, `effective`, `of`, and `share`, which is effective over of; by role."""
    means: dict[PartRole, dict[str, float | None]] = {}
    for role in PART_ROLES:
        rows = [of[role] for of in styles.values() if role in of and of[role]["unchanged"] is not None]
        if rows:
            columns = {name: [row[name] or 0 for row in rows] for name in ("unchanged", "effective", "of")}
            shares = [e / o for e, o in zip(columns["effective"], columns["of"], strict=True)]
            means[role] = {name: float(np.mean(values)) for name, values in (columns | {"share": shares}).items()}
    return means
