"""The config of stage mask_generator: the generator of masks out of nothing."""

from typing import Literal, Self

from pydantic import Field, model_validator

from facemill.config.fields import Section, Size, TrainingConfig
from facemill.config.stylegan import DEVIATION_GROUP, StyleganConfig


class MaskGeneratorConfig(Section):
    """StyleGAN2's networks for masks, and their training."""

    size: Size = Field(description="height in pixels; masks are shrunk to it")
    preset: Literal["tiny", "small", "medium", "large", "wide", "paper"] = Field(
        description="channels (facemill/networks/stylegan2.py): tiny, small, medium, large, wide or paper"
    )
    r1: float = Field(ge=0, description="weight of the gradient penalty at 64 x 64 pixels; it grows with their number")
    diff_augment: list[Literal["translation", "cutout"]] = Field(
        description="differentiable augmentation: translation, cutout"
    )
    training: TrainingConfig

    @model_validator(mode="after")
    def _batch_has_groups(self) -> Self:
        if self.training.batch % DEVIATION_GROUP:
            raise ValueError(f"training.batch: found {self.training.batch}; accepted: a multiple of {DEVIATION_GROUP}")
        return self

    def gan(self) -> StyleganConfig:
        """The settings of the networks and of their steps."""
        return StyleganConfig(
            size=self.size,
            preset=self.preset,
            loss="logistic",
            r1=self.r1,
            penalty_every=8,
            style_mixing=0.5,
            noise=False,
            mirror=True,
            diff_augment=[*self.diff_augment],
            conditions=[],
            discriminator="projection",
            condition_weight=0,
            condition_ramp=(0, 0),
            initial=None,
            grad_accumulation=1,
            gpus=1,
            training=self.training,
        )
