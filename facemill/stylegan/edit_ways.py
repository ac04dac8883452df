"""Four ways to an attribute: a direction in W, the same locked to a region, a local edit, GauGAN with a fixed mask."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from facemill.data.classes import Role
from facemill.data.shards import read_rows
from facemill.imaging.colors import REGIONS
from facemill.inference.painter import Painter
from facemill.inference.sampler import Sampler
from facemill.latent.attribute_vectors import fit_vectors
from facemill.latent.attributes import AttributeLabels, control_columns
from facemill.networks.style_edits import reach, shrunk
from facemill.stylegan.edit_rows import Generated
from facemill.stylegan.edit_scores import Edited, Judge, Scores, at_size, seam
from facemill.stylegan.edits import Applied, Kept, LocalEdit, as_tensor, paint_edited
from facemill.stylegan.masks import resized

Way = Literal["direction", "locked", "local", "gaugan"]

PATH = (0.25, 0.5, 0.75, 1.0)
"""Strengths at which it is looked whether the attribute's probability rises."""
TOLERANCE = 0.01
"""Fall of a probability that still counts as monotonic."""


@dataclass(frozen=True)
class Case:
    """Portraits that lack an attribute, and a local edit that is to give it to them."""

    name: str
    role: Role
    """Of the classes that show it."""
    portraits: Generated
    regions: np.ndarray
    """Of the edit, bool (N, H, W)."""
    edit: LocalEdit
    about: dict[str, Any] = field(default_factory=dict)
    """What is told of it beside its scores."""
    edited: dict[Way, Edited] = field(default_factory=dict)
    """The portraits before and after, by way."""
    scores: dict[Way, Scores] = field(default_factory=dict)

    def first(self, count: int) -> "Case":
        """The case of the first portraits, at most so many, without what came of it."""
        kept = range(min(count, len(self.portraits)))
        return Case(self.name, self.role, self.portraits.take(kept), self.regions[:count], self.edit)


class Directions:
    """Vectors from portraits without an attribute to those with it, in W and among GauGAN's style codes.

    Args:
        portraits: generated portraits, to which they are fitted.
        codes: their style codes (N, z_dim); None without GauGAN.
        tags: shards of their tags.
        preserve: regions whose colors vectors leave as they are, but those of the attribute.
        strength: factor.
    """

    def __init__(
        self, portraits: Generated, codes: Tensor | None, tags: Sequence[Path], preserve: Sequence[str], strength: float
    ) -> None:
        colors = {row["id"]: row for row in read_rows(list(tags), ["id", *REGIONS])}
        self.portraits, self.codes, self.strength = portraits, codes, strength
        self.rows = [colors[row_id] for row_id in portraits.ids]
        self.preserve = [region for region in preserve if region in REGIONS]

    def fit(self, has: Sequence[str], role: Role) -> tuple[Tensor | None, Tensor | None]:
        """The vectors (w_dim,) and (z_dim,): differences of means. None where all have the attribute, or none.

        Args:
            has: ids of the portraits that have the attribute.
            role: of the classes that show it.
        """
        kept = [region for region in self.preserve if role not in REGIONS[region]]
        controls = control_columns(self.rows, kept, [])
        labels = AttributeLabels(booleans={"attribute": np.isin(self.portraits.ids, has)})
        vectors: list[Tensor | None] = []
        for points in (self.portraits.styles, self.codes):
            fitted = (
                {} if points is None else fit_vectors(points.double().numpy(), labels, controls, "means", 1).booleans
            )
            vector = fitted.get("attribute")
            vectors.append(None if vector is None else torch.from_numpy(np.float32(self.strength * vector)))
        return vectors[0], vectors[1]


class Ways:
    """The networks that edit.

    Args:
        sampler: StyleGAN's generator.
        gaugan: GauGAN with its style encoder, where its style can be edited.
    """

    def __init__(self, sampler: Sampler, gaugan: Painter | None) -> None:
        self.sampler, self.gaugan = sampler, gaugan

    @classmethod
    def load(cls, sampler: Sampler, gaugan: Path | None, style_encoder: Path | None) -> "Ways":
        """The networks that edit; without the network that reads GauGAN's styles there is no way through it."""
        painter = Painter.load(gaugan, style_encoder=style_encoder) if gaugan else None
        return cls(sampler, painter if painter and painter.reads_styles else None)

    def codes(self, portraits: Generated) -> Tensor | None:
        """GauGAN's style codes of portraits, float32 (N, z_dim); None without GauGAN."""
        if self.gaugan is None:
            return None
        images = resized(portraits.images, self.gaugan.generator.height)
        masks = torch.from_numpy(at_size(portraits.masks, images))
        return self.gaugan.encode_styles(torch.from_numpy(images).permute(0, 3, 1, 2), masks)

    def of_part(self, z: Tensor, role: Role) -> Tensor:
        """What of a vector (z_dim,) of GauGAN's style codes is of a part; all of it where codes are not by region."""
        if self.gaugan is None or self.gaugan.generator.z != "regions":
            return z
        numbers = torch.cat([self.gaugan.numbers_of(c.name) for c in self.gaugan.classes.root if c.role == role])
        return torch.zeros_like(z).index_copy(0, numbers, z[numbers])

    def edit(self, case: Case, w: Tensor | None, z: Tensor | None) -> None:
        """Edits a case's portraits in each way, for its `edited`.

        Args:
            case: the case.
            w: what is added to styles, (w_dim,).
            z: what is added to GauGAN's style codes, (z_dim,).
        """
        styles, edited = case.portraits.styles, case.edited
        before = paint_edited(self.sampler, styles)
        if w is not None:
            edited["direction"] = Edited(before, paint_edited(self.sampler, styles + w))
            locked = paint_edited(self.sampler, styles + w, kept=Kept(styles, case.regions))
            edited["locked"] = Edited(before, locked)
        edited["local"] = Edited(before, self.local(case, 1))
        codes = None if z is None else self.codes(case.portraits)
        if codes is not None and z is not None and self.gaugan:
            moved = codes + self.of_part(z, case.role)
            large = resized(case.portraits.images[:1], self.gaugan.generator.height)
            masks = torch.from_numpy(at_size(case.portraits.masks, large))
            edited["gaugan"] = Edited(*(self.gaugan.generate(masks, part) for part in (codes, moved)))

    def local(self, case: Case, strength: float) -> np.ndarray:
        """A case's portraits with the local edit at a strength, uint8 RGB (N, H, W, 3)."""
        return paint_edited(self.sampler, case.portraits.styles, [Applied(case.edit, case.regions, strength)])

    def measure(self, case: Case, judge: Judge) -> None:
        """Measures what came of each way, for the case's `scores`; see `Judge.scores`.

        Further scores are `seam` of the locked direction, and those of `local_scores`.
        """
        for way, edited in case.edited.items():
            case.scores[way] = judge.scores(edited, at_size(case.regions, edited.before))
        if "locked" in case.edited:
            case.scores["locked"]["seam"] = seam(case.edited["locked"], case.regions)
        case.scores["local"] |= self.local_scores(case, judge)

    def local_scores(self, case: Case, judge: Judge) -> Scores:
        """What is measured of a local edit alone.

        Returns:
            - `reach`: the share of the portraits' pixels that it can change.
            - `beyond_reach`: the largest change of any other pixel, in 0 to 255.
            - `monotonicity`: the share of steps from strength to strength, 0 to 1, on which the attribute's
              probability does not fall (by `TOLERANCE` at least).
        """
        before, after = case.edited["local"]
        height = self.sampler.generator.sides()[case.edit.layer][0]
        region = shrunk(as_tensor(self.sampler, case.regions), height)
        reached = reach(self.sampler.generator, case.edit.layer, region)[:, 0].cpu().numpy()
        change = np.abs(after.astype(np.int16) - before).max(3)
        path = [before, *(self.local(case, strength) for strength in PATH)]
        rises = np.diff(np.stack([judge.shows(images) for images in path]), axis=0)
        rises = rises[~np.isnan(rises)]
        return {
            "reach": float(reached.mean()),
            "beyond_reach": int(change[~reached].max(initial=0)),
            "monotonicity": float((rises > -TOLERANCE).mean()) if len(rises) else None,
        }
