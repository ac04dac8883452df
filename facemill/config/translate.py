"""The config of stage translate: portraits of this collection in the manner of another, and back."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from facemill.config.fields import Positive, Section, Size, TrainingConfig

Weight = Annotated[float, Field(ge=0)]


class CycleganConfig(Section):
    """Generators and their discriminators, trained on two collections without pairs."""

    other: Path | None = Field(
        None,
        description="results/<dataset> of another run, a folder, or an archive; the sample draws its other hand",
    )
    method: Literal["cyclegan", "cut"] = Field(
        description="cyclegan: there and back; cut: a2b alone, better in the same time"
    )
    size: Size = Field(description="height in pixels; portraits of both collections are shrunk to it")
    preset: Literal["tiny", "small", "medium", "paper", "paper9"] = Field(
        description="channels and blocks (facemill/networks/resnet_generator.py): tiny, small, medium, paper or paper9"
    )
    cycle_weight: Weight = Field(
        description="cyclegan: weight of the way there and back, against the discriminators' loss"
    )
    identity_weight: Weight = Field(
        description="cyclegan: weight of leaving the other collection's portraits as they are"
    )
    mask_weight: Weight = Field(description="weight of the masks that the other collection's U-Net must see again")
    mask_model: Path | None = Field(None, description="that U-Net, a safetensors file; null: the other run's v3")
    color_weight: Weight = Field(description="weight of the mean colors of hair and face, which must stay")
    pool: int = Field(
        ge=0, description="cyclegan: earlier translations of which discriminators see some; 0: new ones only"
    )
    diff_augment: bool = Field(description="differentiable augmentation, for fewer than some 2,000 portraits")
    grad_accumulation: Positive = Field(description="parts in which a batch is computed; more need less memory")
    gpus: Positive = Field(description="GPUs that share a batch")
    training: TrainingConfig = Field(description="counted in images of both collections, half of a batch from each")

    @model_validator(mode="after")
    def _batch_has_parts(self) -> Self:
        parts = 2 * self.grad_accumulation * self.gpus
        if self.training.batch % parts:
            raise ValueError(
                f"training.batch: found {self.training.batch}; accepted: a multiple of 2 times grad_accumulation times "
                f"gpus, {parts}"
            )
        return self
