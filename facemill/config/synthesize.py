"""The config of stage synthesize: the VAE and GauGAN."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from facemill.config.fields import Positive, Section, TrainingConfig, number


class VaeConfig(Section):
    """The VAE, whose encoder reads GauGAN's styles where gaugan.z is encoder."""

    size: Annotated[Literal[32, 64, 128, 256], BeforeValidator(number)] = Field(
        description="pixels to which portraits are resized"
    )
    z_dim: Positive = Field(description="dimensions of the style code")
    width: Positive = Field(description="channels after the first convolution")
    kl_weight: float = Field(
        ge=0, description="weight of the KL divergence in nats, against the L1 of pixels in [-1, 1]"
    )
    training: TrainingConfig


class GauganConfig(Section):
    """The SPADE generator and its discriminator."""

    preset: Literal["tiny", "small", "medium", "large", "paper"] = Field(
        description="channels (facemill/networks/spade.py): tiny, small, medium, large or paper"
    )
    z: Literal["regions", "encoder", "normal", "none"] = Field(
        "regions", description="style code: regions (their colors), encoder (the VAE's), normal (from N(0, 1)), or none"
    )
    discriminator: Literal["patch", "segmentation"] = Field(
        "patch", description="patch: PatchGAN at two scales, given the mask; segmentation: predicts it (OASIS)"
    )
    feature_matching_weight: float = Field(ge=0, description="weight of the feature matching loss")
    vgg_weights: Path | None = Field(None, description="safetensors file of torchvision's VGG16 convolutions")
    perceptual: Literal["unet", "vgg", "none"] | None = Field(
        None,
        validate_default=True,
        description="features of the perceptual loss: unet (v3's), vgg or none; null: vgg with vgg_weights",
    )
    perceptual_weight: float = Field(ge=0, description="weight of the perceptual loss")
    inception_weights: Path | None = Field(
        None, description="safetensors file of FID's Inception; null: Frechet distance in U-Net features"
    )
    diff_augment: bool = Field(False, description="differentiable augmentation, for fewer than some thousand portraits")
    grad_accumulation: Positive = Field(1, description="parts in which a batch is computed; more need less memory")
    gpus: Positive = Field(1, description="GPUs that share a batch")
    training: TrainingConfig = Field(description="learning rate: halved for G, doubled for D (TTUR)")

    @field_validator("perceptual")
    @classmethod
    def _perceptual_has_features(cls, value: str | None, info: ValidationInfo) -> str:
        vgg_weights = info.data.get("vgg_weights")
        if value == "vgg" and vgg_weights is None:
            raise ValueError("found 'vgg'; accepted: unet or none, or a file in gaugan.vgg_weights")
        return value or ("vgg" if vgg_weights else "none")

    @model_validator(mode="after")
    def _batch_has_parts(self) -> Self:
        if self.training.batch % (self.grad_accumulation * self.gpus):
            raise ValueError(
                f"training.batch: found {self.training.batch}; accepted: a multiple of grad_accumulation times gpus, "
                f"{self.grad_accumulation * self.gpus}"
            )
        return self

    @property
    def for_training(self) -> Self:
        """These settings without the files that the evaluation alone reads."""
        unread = {"inception_weights": None} | ({} if self.perceptual == "vgg" else {"vgg_weights": None})
        return self.model_copy(update=unread)
