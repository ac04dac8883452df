"""Portraits of a finished StyleGAN, edited by files, vectors or both, outside the workflow."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from facemill.data.walk import check_new_folder
from facemill.errors import UserError, first_names, list_faults
from facemill.files import atomic_write
from facemill.imaging.figures import save_animation
from facemill.inference.segmenter import Segmenter
from facemill.inference.vectors import Vectors
from facemill.log import log, progress
from facemill.stylegan.asked import MOST_SEED, Asked, check_truncation, numbers, styles_of_seeds
from facemill.stylegan.edit_scores import at_size
from facemill.stylegan.edits import Applied, Edit, EditRegion, Kept, LocalEdit, class_ids, map_deviations, paint_edited
from facemill.stylegan.masks import resized
from facemill.stylegan.recipes import RecipePainter
from facemill.stylegan.sample_portraits import TRUNCATION, read_recipes, recipe_files

KEYWORD = "facemill-edited"
"""Of the text chunk that tells, as JSON, what a portrait was edited from, and how."""
MOST_STRENGTH = 20.0
STEPS = 12
"""Pictures in an animation, from the portrait as it is to the edited one."""
GROWN = 2
"""Pixels by which the class of a lock is grown."""


def edit_portraits(
    *,
    model: Path,
    out: Path,
    seeds: list[str] | None = None,
    images: Path | None = None,
    edit: list[Path] | None = None,
    vector: str | None = None,
    lock: str | None = None,
    strength: float = 1,
    truncation: float | None = None,
    unet: Path | None = None,
    animate: bool = False,
) -> None:
    """Edits portraits of seeds, or those of a folder: a PNG for each, of its name.

    A local edit adds to a few feature maps where a class lies in the portrait's own mask; a vector moves the style, and
    with it all of the portrait, unless it is locked to a class. Portraits in which the class is not seen stay as they
    are, and are counted.

    Args:
        model: a trained StyleGAN: its folder, for example results/sample/stylegan.
        out: folder of the portraits, PNGs: neither the folder of images nor in it.
        seeds: numbers and ranges of seeds, such as 0-63 or 1,5,9.
        images: in place of seeds: folder of PNGs that sample_portraits, mix_portraits or project_portraits wrote with
            this model.
        edit: edit files of this model, such as results/sample/stylegan/edits/open_mouth.json.
        vector: a vector of vectors.safetensors in the model's folder, such as black_hair.grey_hair.
        lock: a class, such as hair, outside which no pixel changes.
        strength: factor of edits and vector; below 0 the other way.
        truncation: of the seeds' styles: 0 is the mean portrait, 1 leaves them as they are; by default 0.7.
        unet: the U-Net that sees the classes, a safetensors file or its folder; by default unet/v3 of the model's
            results.
        animate: whether an animation (WebP) of each portrait's way there and back is written, too.
    """
    check_options(seeds, images, edit, vector, strength, truncation)
    check_new_folder("--out", out)
    painter, folder = RecipePainter.load(model), model if model.is_dir() else model.parent
    segmenter = load_segmenter(folder, unet) if edit or lock else None
    editor = PortraitEditor.load(painter, segmenter, edit or [], vector_of(folder, painter, vector), lock)
    faults: list[tuple[Path, str]] = []
    if images:
        asked = read_recipes(painter, images, recipe_files(images, out), faults)
    else:
        psi = check_truncation(TRUNCATION if truncation is None else truncation)
        asked = list(styles_of_seeds(painter.sampler, numbers("--seeds", seeds or [], MOST_SEED), psi, [], None))
    how = {"edits": [str(path) for path in edit or []], "vector": vector, "lock": lock, "strength": strength}
    without = []
    for one in progress(asked, "edit_portraits", len(asked), "portraits"):
        regions = editor.regions(one.styles)
        without += [] if regions.complete else [one.name]
        editor.save(out / f"{one.name}.png", one, how, regions, strength)
        if animate:
            path = [editor.paint(one.styles, regions, float(s)) for s in np.linspace(0, strength, STEPS)]
            save_animation([path], out / f"{one.name}.webp")
    log.info("%d portraits in %s", len(asked), out)
    if without:
        log.warning("as they were, since the class was not seen in them: %d (%s)", len(without), first_names(without))
    if faults:
        raise UserError("\n  ".join([f"{len(faults)} PNGs are not edited:", *list_faults(faults)]))


def check_options(
    seeds: Sequence[str] | None,
    images: Path | None,
    edit: Sequence[Path] | None,
    vector: str | None,
    strength: float,
    truncation: float | None,
) -> None:
    """Raises `UserError` for options of `edit_portraits` that do not go together, or out of range."""
    if (seeds is None) == (images is None):
        raise UserError(f"--seeds, --images: found {'both' if seeds else 'neither'}; accepted: one of them")
    if images and truncation is not None:
        raise UserError("--truncation: accepted with --seeds alone")
    if not edit and not vector:
        raise UserError("--edit, --vector: found neither; accepted: edit files, a vector, or both")
    if not math.isfinite(strength) or abs(strength) > MOST_STRENGTH:
        raise UserError(f"--strength {strength:g}; accepted: {-MOST_STRENGTH:g} to {MOST_STRENGTH:g}")


def load_segmenter(folder: Path, unet: Path | None) -> Segmenter:
    """The U-Net that sees the classes: the one given, or that of the results around a model's folder.

    Raises:
        UserError: There is none.
    """
    own = folder.absolute().parent / "unet" / "v3"
    if unet is None and not own.exists():
        raise UserError(f"--unet: found nothing, and no {own}; accepted: a U-Net, whose masks tell where to edit")
    return Segmenter.load(unet or own)


def vector_of(folder: Path, painter: RecipePainter, name: str | None) -> Tensor | None:
    """The vector (w_dim,) of this name, `<from>.<to>` or a boolean's, in a model's folder.

    Raises:
        UserError: There are no vectors, none of this name, or those of another model.
    """
    if name is None:
        return None
    path = folder / "vectors.safetensors"
    vectors = Vectors.load(path)
    known = {f"{a}.{b}": vector for (a, b), vector in vectors.pairs.items()} | vectors.booleans
    if name not in known:
        raise UserError(f"--vector {name}; accepted, of {path}: {', '.join(sorted(known)) or 'it has none'}")
    if known[name].shape != (painter.sampler.generator.w_dim,):
        raise UserError(
            f"--vector {name}: {path} holds vectors of another model; accepted: those that were fitted to it"
        )
    return torch.from_numpy(np.float32(known[name]))


class Regions(NamedTuple):
    """Where a portrait may change, bool (1, H, W) each."""

    edits: list[np.ndarray]
    lock: np.ndarray | None = None

    @property
    def complete(self) -> bool:
        """Whether all classes are seen; else the portrait stays as it is."""
        return all(region.any() for region in [*self.edits, *([] if self.lock is None else [self.lock])])


@dataclass(frozen=True)
class PortraitEditor:
    """Edits portraits one by one, as recipes are painted.

    Attributes:
        painter: the generator.
        segmenter: sees the classes; None where none is asked for.
        edits: local edits, each with its region.
        vector: in W, (w_dim,), or None.
        lock: the region outside which nothing changes, or None.
    """

    painter: RecipePainter
    segmenter: Segmenter | None
    edits: list[tuple[LocalEdit, EditRegion]]
    vector: Tensor | None
    lock: EditRegion | None

    @classmethod
    def load(
        cls,
        painter: RecipePainter,
        segmenter: Segmenter | None,
        files: Sequence[Path],
        vector: Tensor | None,
        lock: str | None,
    ) -> Self:
        """An editor by edit files, a vector, and the name of a class. Raises `UserError` for those that do not fit."""
        classes = segmenter.classes if segmenter else None
        read = [Edit.read(path, painter.model, painter.sampler.generator, classes) for path in files]
        deviations = map_deviations(painter.sampler) if read else []
        locked = None
        if lock and classes:
            try:
                class_ids(lock, classes)
            except UserError as error:
                raise UserError(f"--lock: {error}") from error
            locked = EditRegion.model_validate({"class": lock, "grow": GROWN})
        return cls(painter, segmenter, [(LocalEdit.of(e, deviations), e.region) for e in read], vector, locked)

    def regions(self, styles: Tensor) -> Regions:
        """Where the portrait of styles, (w_dim,) or (layers, w_dim), may change."""
        if self.segmenter is None:
            return Regions([])
        portrait = self.painter.paint(styles)[None]
        masks = at_size(self.segmenter.masks(resized(portrait, self.segmenter.size)), portrait)
        classes = self.segmenter.classes
        lock = self.lock.of(masks, classes) if self.lock else None
        return Regions([region.of(masks, classes) for _, region in self.edits], lock)

    def moved(self, styles: Tensor, strength: float) -> Tensor:
        """Styles, moved along the vector."""
        return styles if self.vector is None else styles + strength * self.vector

    def paint(self, styles: Tensor, regions: Regions, strength: float) -> np.ndarray:
        """The edited portrait of styles, uint8 RGB (H, W, 3)."""
        if not regions.complete:
            return self.painter.paint(styles)
        pairs = zip(self.edits, regions.edits, strict=True)
        edits = [Applied(edit, region, strength) for (edit, _), region in pairs]
        kept = None if regions.lock is None else Kept(styles[None], regions.lock)
        return paint_edited(self.painter.sampler, self.moved(styles, strength)[None], edits, kept)[0]

    def save(self, path: Path, asked: Asked, how: Mapping[str, Any], regions: Regions, strength: float) -> None:
        """Writes the PNG of an edited portrait.

        One that its styles tell holds a recipe, for further commands. Another holds what it was edited from, and how.
        """
        made = {"edited": how, "from": asked.made}
        if not regions.complete:
            self.painter.save(path, asked.styles, asked.made)
        elif not self.edits and self.lock is None:
            self.painter.save(path, self.moved(asked.styles, strength), made)
        else:
            info = PngInfo()
            info.add_text(KEYWORD, json.dumps({"model": self.painter.model} | made, default=str))
            with atomic_write(path) as tmp:
                Image.fromarray(self.paint(asked.styles, regions, strength)).save(tmp, "PNG", pnginfo=info)
