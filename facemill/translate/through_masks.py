"""Portraits in the manner of another collection through their masks: one U-Net reads, the other's GauGAN paints.

Layout and colors are kept by construction. The mask of a portrait is brought to the proportions of the other
collection; it is painted in the style of the portrait there that is nearest in color. Hair then gets the color
that it had, as far as a screen shows it, and skin the one that is as light among skins there as it was.
"""

from pathlib import Path
from typing import Any, NamedTuple, Self

import cv2
import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from facemill.data.batching import batched
from facemill.data.classes import IGNORE, ROLES, ClassTable
from facemill.errors import UserError, first_line
from facemill.files import atomic_write, write_json
from facemill.inference.painter import Painter
from facemill.inference.segmenter import Letterboxed, Segmenter, letterbox, unletterbox
from facemill.translate.domains import role_table
from facemill.translate.proportions import Proportions, with_proportions
from facemill.translate.style_bank import StyleBank, lab_of, recolored

FILES = BANK, UNET, GAUGAN = "bank.safetensors", "unet.safetensors", "gaugan.safetensors"
"""The files of a model: what is measured, and both networks."""

BATCH = 16

NEXT_ROLE = {"face": "skin", "skin": "face", "eye": "face", "mouth": "face"}
"""What a role is painted as by a GauGAN that has no class of it; the background otherwise."""


class CollectionStatistics(NamedTuple):
    """What is measured of the portraits' collection."""

    proportions: Proportions
    mean_colors: np.ndarray
    """The mean CIELAB of `REGIONS`, float32 (R, 3)."""


class ThroughMasks:
    """Translates portraits through their masks.

    Args:
        segmenter: the U-Net that knows the portraits.
        painter: the GauGAN of the other collection.
        source: of the portraits' collection.
        target: of the other one; None leaves masks as they are.
        bank: styles of the other collection.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        painter: Painter,
        source: CollectionStatistics,
        target: Proportions | None,
        bank: StyleBank,
    ) -> None:
        self.segmenter, self.painter, self.bank = segmenter, painter, bank
        self.source, self.target = source, target
        self.size = painter.generator.height
        self.ratio = painter.generator.height // painter.generator.width
        self._roles = role_table(segmenter.classes).numpy()
        self._classes = classes_of_roles(painter.classes)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model in a folder, as `learn_through_masks` made it. Raises `UserError` without one."""
        try:
            tensors = load_file(folder / BANK)
            here, there = (Proportions(*(tensors[f"{name}.{key}"] for key in Proportions._fields)) for name in "ab")
            statistics = CollectionStatistics(here, tensors["mean_colors"])
            bank = StyleBank(tensors["codes"], tensors["colors"])
        except FileNotFoundError as error:
            raise UserError(f"{folder / BANK}: no such model file") from error
        except (SafetensorError, KeyError, OSError) as error:
            raise UserError(f"{folder / BANK}: not a readable model ({first_line(error)})") from error
        return cls(Segmenter.load(folder / UNET), Painter.load(folder / GAUGAN), statistics, there, bank)

    def translate(self, images: np.ndarray) -> np.ndarray:
        """Translations, uint8 RGB (n, h, w, 3), of images of that type and shape."""
        height, width = images.shape[1:3]
        results = [self._paint(image, mask) for image, mask in zip(images, self.masks(images), strict=True)]
        if height != self.size or width != self.painter.generator.width:
            method = cv2.INTER_AREA if height < self.size else cv2.INTER_CUBIC
            results = [cv2.resize(result, (width, height), interpolation=method) for result in results]
        return np.stack(results) if results else np.empty_like(images)

    def masks(self, images: np.ndarray) -> np.ndarray:
        """Masks of roles of images, uint8 (n, h, w, 3), at the painter's size: uint8 (n, H, W)."""
        generator = self.painter.generator
        masks = []
        for batch in batched((framed(image, self.segmenter.size, self.ratio) for image in images), BATCH):
            logits = self.segmenter.logits([seen for seen, _ in batch]).cpu().numpy()
            masks += [unletterbox(plane, place) for plane, (_, place) in zip(logits, batch, strict=True)]
        size = (generator.width, generator.height)
        small = [cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT) for mask in masks]
        roles = self._roles[np.stack(small)] if small else np.empty((0, *size[::-1]), np.uint8)
        return np.where(roles == IGNORE, 0, roles).astype(np.uint8)

    def proportioned(self, roles: np.ndarray) -> np.ndarray:
        """A mask of roles, uint8 (H, W), with the proportions of the other collection."""
        return with_proportions(roles, self.source.proportions, self.target) if self.target else roles

    def as_classes(self, roles: np.ndarray) -> np.ndarray:
        """A mask of roles as one of the painter's classes, uint8 (H, W)."""
        mask: np.ndarray = self._classes[roles]
        return mask

    def _paint(self, image: np.ndarray, roles: np.ndarray) -> np.ndarray:
        """A portrait's translation, at the painter's size; `roles` are those of its mask there."""
        classes = self.painter.classes
        small = cv2.resize(image, roles.shape[::-1], interpolation=cv2.INTER_AREA)
        wanted = self.bank.wanted(lab_of(small, self.as_classes(roles), classes), self.source.mean_colors)
        mask = self.as_classes(self.proportioned(roles))
        code = torch.from_numpy(self.bank.nearest(wanted)[None])
        if not code.shape[1]:
            code = self.painter.random_styles(1, 0)
        painted = self.painter.generate(torch.from_numpy(mask)[None], code)[0]
        return recolored(painted, mask, classes, wanted)


def framed(image: np.ndarray, size: int, ratio: int) -> Letterboxed:
    """An image, uint8 RGB (H, W, 3), as a U-Net sees it: a portrait at its height, another shape letterboxed."""
    seen, box = letterbox(Image.fromarray(image), size)
    if image.shape[0] != ratio * image.shape[1]:
        return seen, box
    return seen[:, box.left : box.left + box.width], box._replace(left=0)


def classes_of_roles(classes: ClassTable) -> np.ndarray:
    """The class id that each of `ROLES` is painted as: uint8 (roles,)."""
    ids = []
    for role in ROLES:
        chain: list[str] = [role]
        while chain[-1] in NEXT_ROLE and NEXT_ROLE[chain[-1]] not in chain:
            chain.append(NEXT_ROLE[chain[-1]])
        with_role = [classes.role_ids(name)[0] for name in chain if classes.role_ids(name)]  # type: ignore[arg-type]
        ids.append(with_role[0] if with_role else 0)
    return np.array(ids, np.uint8)


def save_bank(
    path: Path, source: CollectionStatistics, target: Proportions, bank: StyleBank, settings: dict[str, Any]
) -> None:
    """Writes what `ThroughMasks` knows of both collections, and settings as the JSON beside it."""
    tensors = {"mean_colors": source.mean_colors, **bank._asdict()}
    for name, proportions in (("a", source.proportions), ("b", target)):
        tensors |= {f"{name}.{key}": value for key, value in proportions._asdict().items()}
    with atomic_write(path) as tmp:
        save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, tmp)
    write_json(path.with_suffix(".json"), {"settings": settings})
