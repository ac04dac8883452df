"""The config of stage synthesize: the VAE and GauGAN."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from facemill.config.fields import Positive, Section, TrainingConfig, number


class VaeConfig(Section):
    """The VAE whose encoder gives GauGAN its style code."""

    size: Annotated[Literal[32, 64, 128, 256], BeforeValidator(number)] = Field(
        description="pixels that it works at; portraits are resized to it"
    )
    z_dim: Positive = Field(description="dimensions of the style code")
    width: Positive = Field(description="channels after the first convolution")
    kl_weight: float = Field(ge=0)
    training: TrainingConfig


class GauganConfig(Section):
    """The SPADE generator and its multi-scale PatchGAN discriminators."""

    preset: Literal["tiny", "small", "medium", "large", "paper"] = Field(
        description="the networks' channels; facemill/networks/spade.py has the numbers"
    )
    z: Literal["encoder", "normal", "none"] = Field(
        "encoder", description="where a style comes from: the VAE's encoder, N(0, 1), or nowhere"
    )
    feature_matching_weight: float = Field(ge=0)
    perceptual_weight: float = Field(ge=0, description="weight of the VGG loss; without vgg_weights it is left out")
    vgg_weights: Path | None = Field(None, description="safetensors file of torchvision's VGG16 convolutions")
    inception_weights: Path | None = Field(None, description="safetensors file of FID's Inception: names its features")
    diff_augment: bool = Field(False, description="differentiable augmentation, for fewer than some thousand portraits")
    grad_accumulation: Positive = Field(1, description="parts in which a batch is computed; more need less memory")
    gpus: Positive = Field(1, description="GPUs that share a batch")
    training: TrainingConfig

    @model_validator(mode="after")
    def _batch_has_parts(self) -> Self:
        if self.training.batch % (self.grad_accumulation * self.gpus):
            raise ValueError(
                f"training.batch: found {self.training.batch}; accepted: a multiple of grad_accumulation times gpus, "
                f"{self.grad_accumulation * self.gpus}"
            )
        return self
