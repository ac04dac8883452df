"""Edits in latent space: painters of latents, and classifiers of the painted portraits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from facemill.data.classes import ClassTable
from facemill.imaging.colors import Lab, region_colors
from facemill.inference.painter import BATCH, Painter
from facemill.inference.sampler import Sampler
from facemill.inference.segmenter import Segmenter
from facemill.networks.device import autocast, device
from facemill.networks.vae import Vae, to_pixels
from facemill.taggers.tagger import Tagger, TaggerInput, most_probable

Masks = Mapping[str, np.ndarray]
"""Class ids, uint8 (H, W), by the portrait's id."""

LatentPainter = Callable[[Sequence[str], np.ndarray], np.ndarray]
"""Paints the portraits with these ids (N) from latents (N * K, Z), K for each in turn: uint8 RGB (N * K, H, W, 3)."""


def mask_painter(painter: Painter, masks: Masks) -> LatentPainter:
    """GauGAN with the mask of each portrait fixed: the latent is its style code."""

    def paint(ids: Sequence[str], latents: np.ndarray) -> np.ndarray:
        """Portraits of latents, uint8 (N, H, W, 3)."""
        labels = torch.from_numpy(np.stack([masks[portrait_id] for portrait_id in ids]))
        return painter.generate(labels, torch.from_numpy(np.float32(latents)))

    return paint


def decoding_painter(vae: Vae) -> LatentPainter:
    """The VAE's decoder, for which the latent is all of a portrait; the ids do not matter."""

    @torch.inference_mode()
    def paint(ids: Sequence[str], latents: np.ndarray) -> np.ndarray:
        """Portraits of latents, uint8 (N, H, W, 3)."""
        images = []
        for codes in torch.from_numpy(np.float32(latents)).split(BATCH):
            with autocast():
                images.append(to_pixels(vae.decode(codes.to(device()))))
        return np.concatenate(images)

    return paint


def style_painter(sampler: Sampler) -> LatentPainter:
    """StyleGAN's generator, for which the style w is all of a portrait; the ids do not matter."""

    def paint(ids: Sequence[str], latents: np.ndarray) -> np.ndarray:
        """Portraits of latents, uint8 (N, H, W, 3)."""
        return sampler.generate(torch.from_numpy(np.float32(latents)))

    return paint


def traverse(
    paint: LatentPainter,
    portrait_id: str,
    latent: np.ndarray,
    vector: np.ndarray,
    positions: Sequence[float] | np.ndarray,
) -> np.ndarray:
    """A portrait painted at positions along a vector (Z,), 0 its latent, 1 the end: uint8 RGB (N, H, W, 3)."""
    return paint([portrait_id], latent + np.asarray(positions)[:, None] * vector)


@dataclass(frozen=True)
class Rendering:
    """A painted portrait with the colors of its regions, and the mask that a U-Net segments in it."""

    portrait: TaggerInput
    mask: np.ndarray | None
    """Class ids, uint8 (H, W); None where it was not segmented."""


class Renderer:
    """Paints portraits, reads the colors of their regions under the masks, and segments them, where there are masks."""

    def __init__(
        self,
        paint: LatentPainter,
        masks: Masks | None = None,
        classes: ClassTable | None = None,
        segmenter: Segmenter | None = None,
    ) -> None:
        """A renderer.

        Args:
            paint: paints latents.
            masks: the portraits' masks, where there are any.
            classes: the class table of the masks.
            segmenter: segments the painted portraits.
        """
        self.paint, self.masks, self.classes, self.segmenter = paint, masks or {}, classes, segmenter

    def render(self, ids: Sequence[str], latents: np.ndarray, *, segmented: bool = True) -> list[Rendering]:
        """The portraits `ids` (N) painted from latents, float (N * K, Z), K for each in turn.

        Args:
            ids: the portraits.
            latents: their latents.
            segmented: whether the painted portraits are segmented, where there is a segmenter.
        """
        images = self.paint(ids, latents)
        repeated = np.repeat(ids, len(images) // len(ids))
        return [
            Rendering(TaggerInput(image, colors=self._colors(portrait_id, image)), mask)
            for portrait_id, image, mask in zip(repeated, images, self._segment(images, segmented), strict=True)
        ]

    def _segment(self, images: np.ndarray, segmented: bool) -> Sequence[np.ndarray | None]:
        """The masks of images, uint8 (N, H, W); None for each where they are not segmented."""
        if self.segmenter is None or not segmented:
            return [None] * len(images)
        return list(self.segmenter.masks(images))

    def _colors(self, portrait_id: str, image: np.ndarray) -> dict[str, Lab | None] | None:
        if self.classes is None or portrait_id not in self.masks:
            return None
        # the VAE's images may have another size than the masks
        mask = cv2.resize(self.masks[portrait_id], image.shape[1::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        return region_colors(image, np.asarray(mask), self.classes)


@dataclass(frozen=True)
class EditClassifier:
    """Decides by a tagger whether a portrait shows the target of an edit.

    For an exclusive group the most probable name decides, for a boolean the tagger's threshold.
    """

    tagger: Tagger
    target: str
    names: Sequence[str] = ()
    """The names of the target's group; none for a boolean."""

    def probabilities(self, renderings: Sequence[Rendering], added: Sequence[bool]) -> np.ndarray:
        """The probability of the target, or of its absence where the edit removes it: float (N,).

        Args:
            renderings: the edited portraits.
            added: for each rendering whether the edit adds the target; else the edit removes it.
        """
        rows = self.tagger.estimate_specific_tags([r.portrait for r in renderings], [self.target])
        probs = [row[self.target] for row in rows]
        return np.array([p if is_added else 1 - p for p, is_added in zip(probs, added, strict=True)])

    def predictions(self, renderings: Sequence[Rendering], added: Sequence[bool]) -> np.ndarray:
        """Whether the target is present, or absent where the edit removes it: bool (N,)."""
        known = [name for name in self.names if self.tagger.knows(name)] or [self.target]
        rows = self.tagger.estimate_specific_tags([r.portrait for r in renderings], known)
        if self.names:
            positive = [{name: p for name, p in row.items() if p > 0} for row in rows]
            return np.array([most_probable(probs, known)[0] == self.target for probs in positive])
        present = [row[self.target] > self.tagger.threshold for row in rows]
        return np.array([is_present == is_added for is_present, is_added in zip(present, added, strict=True)])
