"""The config of stage stylegan: the generator out of nothing, and what it generates."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from facemill.config.fields import Positive, Section, Share, Size, TrainingConfig, without_nulls
from facemill.data.classes import Role

DEVIATION_GROUP = 4
"""Images of a part of a batch are a multiple of it: the minibatch deviation is computed among so many."""

AttributeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
"""A tag, or the name of a color, that can be the name of a file."""


class StyleganConfig(Section):
    """StyleGAN2's networks, and their training."""

    size: Size = Field(description="height in pixels; portraits are shrunk to it")
    preset: Literal["tiny", "small", "medium", "large", "wide", "paper"] = Field(
        description="channels (facemill/networks/stylegan2.py): tiny, small, medium, large, wide or paper"
    )
    loss: Literal["logistic", "relativistic"] = Field(
        description="logistic (non-saturating), or relativistic (R3GAN's), which penalizes generated portraits, too"
    )
    r1: float = Field(ge=0, description="weight of the gradient penalty at 64 x 64 pixels; it grows with their number")
    penalty_every: Positive = Field(description="steps from one gradient penalty to the next")
    style_mixing: Annotated[float, Field(ge=0, le=1)] = Field(description="share of the steps in which two styles meet")
    noise: bool = Field(description="noise after each convolution, for hair at 256 pixels and more")
    mirror: bool = Field(description="whether half of the portraits are mirrored")
    diff_augment: list[Literal["color", "translation", "cutout"]] = Field(
        description="differentiable augmentation: color (which leaks into generated colors), translation, cutout"
    )
    conditions: list[str] = Field(
        description="what can be asked for: hair_color, skin_color, eye_color, or tags such as Smiling"
    )
    discriminator: Literal["projection", "acgan"] = Field(
        description="how the discriminator is told conditions: projection or acgan"
    )
    condition_weight: float = Field(ge=0, description="weight of acgan's cross-entropies, mean over conditions")
    condition_ramp: tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]] = Field(
        description="shares of the training between which conditions come in"
    )
    initial: Path | None = Field(None, description="folder of a finished stylegan to start from")
    grad_accumulation: Positive = Field(description="parts in which a batch is computed; more need less memory")
    gpus: Positive = Field(description="GPUs that share a batch")
    training: TrainingConfig

    @model_validator(mode="after")
    def _batch_has_parts(self) -> Self:
        parts = self.grad_accumulation * self.gpus * DEVIATION_GROUP
        if self.training.batch % parts:
            raise ValueError(
                f"training.batch: found {self.training.batch}; accepted: a multiple of {DEVIATION_GROUP} times "
                f"grad_accumulation times gpus, {parts}"
            )
        return self

    @field_validator("conditions")
    @classmethod
    def _conditions_can_be_asked_for(cls, value: list[str]) -> list[str]:
        if repeated := [name for name, count in Counter(value).items() if count > 1]:
            raise ValueError(f"found {', '.join(repeated)} more than once; accepted: distinct groups and tags")
        if strange := [name for name in value if not name or name == "none" or "=" in name]:
            raise ValueError(f"found {strange[0]!r}; accepted: groups and tags, without =, and not none")
        return value

    @model_validator(mode="after")
    def _ramp_rises(self) -> Self:
        start, end = self.condition_ramp
        if start > end:
            raise ValueError(f"condition_ramp: found [{start:g}, {end:g}]; accepted: two shares, the lower first")
        return self


class GeneratedConfig(Section):
    """Portraits that StyleGAN generates, with their masks."""

    portraits: Positive = Field(description="number of portraits")
    truncation: float = Field(ge=0, le=1.5, description="truncation of their styles: 0 the mean portrait, 1 none")
    min_confidence: Share = Field(description="least mean confidence of an accepted portrait's mask")
    strength: float = Field(1, gt=0, description="factor of an attribute vector in W when it is added")


class ProjectionConfig(Section):
    """The search of styles for portraits, by which StyleGAN is measured."""

    portraits: Annotated[int, Field(ge=2)] = Field(
        description="number of portraits of each kind: held-out, of the training, generated"
    )
    steps: Positive = Field(description="steps of each search")


class PropagationConfig(Section):
    """Masks of all generated portraits from a few that are labelled."""

    portraits: Positive = Field(description="generated portraits to label, written by stylegan_review")
    pixels: Positive = Field(description="pixels of each that the classifier of feature maps is fitted to, at most")
    labelled: Path | None = Field(
        None, description="folder of corrected labelme files of them; null: the masks of the U-Net"
    )

    @field_validator("labelled")
    @classmethod
    def _is_no_product(cls, value: Path | None) -> Path | None:
        if value and "stylegan_review" in value.parts:
            raise ValueError(f"found {value}, which a rule makes anew; accepted: a copy elsewhere")
        return value


class EditsConfig(Section):
    """Local edits of StyleGAN's feature maps, and the maps that follow a class."""

    attributes: Annotated[dict[AttributeName, Role], BeforeValidator(without_nulls), Field(min_length=1)] = Field(
        description="tags and names of colors for which edits are found, each with the role of the classes that show it"
    )
    channels: Positive = Field(description="feature maps that an edit adds to, at most")
    samples: Annotated[int, Field(ge=4)] = Field(
        description="generated portraits from which edits are found, and that maps are compared with"
    )
    portraits: Positive = Field(description="held-out generated portraits on which each edit is measured")
