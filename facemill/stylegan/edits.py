"""Local edits of a StyleGAN: what is added to a few feature maps at a part of the portrait, as a small JSON file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple, Self

import cv2
import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from facemill.config.stylegan import AttributeName
from facemill.data.classes import ClassTable
from facemill.data.json_faults import malformed
from facemill.errors import UserError
from facemill.files import write_json
from facemill.inference.sampler import Sampler
from facemill.networks.device import autocast
from facemill.networks.style_edits import Lock, shrunk, stages, synthesize
from facemill.networks.style_layers import ModulatedConv
from facemill.networks.stylegan2 import StyleGenerator
from facemill.networks.vae import to_pixels

BATCH = 64
"""Portraits that are painted at once."""
DEVIATION_SEEDS = range(64)
"""Seeds of the portraits whose maps tell the maps' deviations."""
LOCK_SIDE = 8
"""Width of the maps from which on a locked portrait changes; smaller ones are those of pose and outline."""
MOST_BYTES = 1 << 20
"""Of an edit file: the largest network's layers have some thousand channels."""

Finite = Annotated[float, Field(allow_inf_nan=False, ge=-1e4, le=1e4)]


class EditRegion(BaseModel):
    """Where an edit is: the pixels of a class in each portrait's own mask."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(alias="class", description="a class of the masks, or a role of classes, such as mouth")
    grow: Annotated[int, Field(ge=0, le=256)] = Field(0, description="pixels by which the class is grown")

    def of(self, masks: np.ndarray, classes: ClassTable) -> np.ndarray:
        """The region in masks of the portraits' size, uint8 (N, H, W): bool (N, H, W), all false without the class."""
        return grown(np.isin(masks, class_ids(self.name, classes)), self.grow)


class Edit(BaseModel):
    """An edit file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: AttributeName = Field(description="of what it does, such as open_mouth")
    model: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the generator's weights")
    layer: Annotated[int, Field(ge=0)] = Field(description="convolution after whose activation is added; 0 the lowest")
    channels: dict[Annotated[int, Field(ge=0)], Finite] = Field(
        description="by the number of a feature map what strength 1 adds to it, in the map's standard deviations"
    )
    region: EditRegion
    strength: Finite = Field(1, description="factor of all values")
    found: str = Field("", description="how it was found, for people")

    @classmethod
    def read(cls, path: Path, model: str, generator: StyleGenerator, classes: ClassTable | None = None) -> Self:
        """The edit in a file.

        Args:
            path: the JSON file.
            model: SHA-256 of the generator's weights, as hex.
            generator: the network.
            classes: the class table of the masks that will tell the region.

        Raises:
            UserError: The file cannot be read, is no such edit, or one of another model or class table.
        """
        try:
            content = path.read_bytes() if path.stat().st_size <= MOST_BYTES else None
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; accepted: an edit file (JSON)") from error
        if content is None:
            raise UserError(f"{path}: more than {MOST_BYTES >> 20} MB; accepted: an edit file (JSON)")
        if fault := malformed(content):
            raise UserError(f"{path}: {fault}")
        try:
            edit = cls.model_validate_json(content)
        except ValidationError as error:
            raise UserError(f"{path}: {_fault(error)}") from error
        if edit.model != model:
            raise UserError(f"{path}: model: found {edit.model[:12]}..., another model's; accepted: {model}")
        edit._check(path, generator, classes)
        return edit

    def _check(self, path: Path, generator: StyleGenerator, classes: ClassTable | None) -> None:
        widths = map_counts(generator)
        if self.layer >= len(widths):
            raise UserError(f"{path}: layer: found {self.layer}; accepted: 0 to {len(widths) - 1}")
        if unknown := [c for c in self.channels if c >= widths[self.layer]]:
            raise UserError(
                f"{path}: channels: found {unknown[0]}; accepted: 0 to {widths[self.layer] - 1}, those of layer "
                f"{self.layer}"
            )
        if classes:
            try:
                class_ids(self.region.name, classes)
            except UserError as error:
                raise UserError(f"{path}: region.class: {error}") from error

    def write(self, path: Path) -> None:
        """Writes the file."""
        write_json(path, self.model_dump(by_alias=True))


def _fault(error: ValidationError) -> str:
    """One line for the first error of an edit file: key, what was found, what is accepted."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if part != "[key]")
    match first["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key; accepted: {', '.join(Edit.model_fields)}"
        case "missing":
            return f"{key}: found nothing; accepted: a value"
        case _:
            accepted = first["msg"].replace("Input should be ", "").replace("should match", "that matches")
            found = repr(first["input"])
            return f"{key or 'its content'}: found {found[:80]}; accepted: {accepted[0].lower()}{accepted[1:]}"


def class_ids(name: str, classes: ClassTable) -> list[int]:
    """The ids of a class, or of all classes of a role. Raises `UserError` for a name that is neither."""
    if name in classes.names:
        return [classes.names.index(name)]
    if ids := [index for index, c in enumerate(classes.root) if c.role == name]:
        return ids
    roles = {c.role for c in classes.root if c.role} - set(classes.names)
    raise UserError(f"found {name!r}; accepted: {', '.join([*classes.names, *sorted(roles)])}")


def grown(regions: np.ndarray, pixels: int) -> np.ndarray:
    """Regions, bool (N, H, W), grown by a disc of so many pixels."""
    if not pixels:
        return regions
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return np.stack([cv2.dilate(region.astype(np.uint8), disc) for region in regions]).astype(bool)


def map_counts(generator: StyleGenerator) -> list[int]:
    """The number of feature maps of each convolution."""
    return [len(module.weight) for module in generator.levels.modules() if isinstance(module, ModulatedConv)]


def lock_layer(generator: StyleGenerator) -> int:
    """The first layer that changes in a locked portrait: the first whose maps are `LOCK_SIDE` wide."""
    return next(layer for layer, (_, width) in enumerate(generator.sides()) if width >= LOCK_SIDE)


@torch.inference_mode()
def map_deviations(sampler: Sampler) -> list[Tensor]:
    """The standard deviation of each feature map over portraits and positions, float32 (C,) for each convolution."""
    styles = sampler.styles(sampler.codes(DEVIATION_SEEDS), sampler.slots(DEVIATION_SEEDS))
    with autocast():
        return [stage.maps.float().std((0, 2, 3)) for stage in stages(sampler.generator, styles)]


class LocalEdit(NamedTuple):
    """An edit that can be added to maps."""

    layer: int
    vector: Tensor
    """What strength 1 adds to each map of the layer inside the region, float32 (C,)."""

    @classmethod
    def of(cls, edit: Edit, deviations: Sequence[Tensor]) -> "LocalEdit":
        """An edit file's, with the `map_deviations`."""
        return cls.from_values(edit.layer, {c: edit.strength * value for c, value in edit.channels.items()}, deviations)

    @classmethod
    def from_values(cls, layer: int, values: Mapping[int, float], deviations: Sequence[Tensor]) -> "LocalEdit":
        """An edit of a layer's maps by values in deviations."""
        vector = torch.zeros_like(deviations[layer])
        for channel, value in values.items():
            vector[channel] = value * deviations[layer][channel]
        return cls(layer, vector)

    def change(self, regions: Tensor, strength: float | Tensor = 1) -> Tensor:
        """What it adds to the maps, float32 (B, C, h, w).

        Args:
            regions: of the portraits, float32 (B, 1, H, W) in [0, 1] at the height of the layer's maps.
            strength: factor, or one for each portrait (B, 1, 1, 1).
        """
        return strength * regions * self.vector[:, None, None]


class Applied(NamedTuple):
    """A local edit of N portraits."""

    edit: LocalEdit
    regions: np.ndarray
    """bool (N, H, W)."""
    strength: float = 1


class Kept(NamedTuple):
    """What keeps N portraits as they are outside a region."""

    styles: Tensor
    """Of the portraits as they are, (N, w_dim), or (N, layers, w_dim)."""
    regions: np.ndarray
    """bool (N, H, W)."""


@torch.inference_mode()
def paint_edited(
    sampler: Sampler, styles: Tensor, edits: Sequence[Applied] = (), kept: Kept | None = None
) -> np.ndarray:
    """Portraits, uint8 RGB (N, H, W, 3), of styles, with local edits.

    Args:
        sampler: the generator.
        styles: (N, w_dim), or of each layer (N, layers, w_dim).
        edits: added to maps.
        kept: what is not to change.
    """
    generator, pictures = sampler.generator, []
    heights = [height for height, _ in generator.sides()]
    for start in range(0, len(styles), BATCH):
        part = slice(start, start + BATCH)
        changes: dict[int, Tensor] = {}
        for edit, regions, strength in edits:
            small = shrunk(as_tensor(sampler, regions[part]), heights[edit.layer])
            change = edit.change(small, strength)
            changes[edit.layer] = changes[edit.layer] + change if edit.layer in changes else change
        lock = None
        if kept:
            own = kept.styles[part].clone().to(sampler.device)
            lock = Lock(own, as_tensor(sampler, kept.regions[part]), lock_layer(generator))
        with autocast():  # copies of styles are aligned alike, on which the last bits depend
            image = synthesize(generator, styles[part].clone().to(sampler.device), changes, lock)
        pictures.append(to_pixels(image))
    return np.concatenate(pictures)


def as_tensor(sampler: Sampler, regions: np.ndarray) -> Tensor:
    """Regions, bool (N, H, W), as float32 (N, 1, H, W) on the generator's device."""
    return torch.from_numpy(regions[:, None].astype(np.float32)).to(sampler.device)
