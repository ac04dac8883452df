"""The config of stage segment: U-Nets, self-training, pseudo-labels."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from facemill.config.fields import Downscale, Positive, Section, Share, TrainingConfig


class UnetPresetConfig(Section):
    """Settings in which the U-Net versions differ."""

    decoder: Literal["transposed", "upsample"] = Field(
        description="transposed convolutions, or upsample: nearest-neighbor upsampling and convolutions"
    )
    downscale: Downscale = Field(description="factor by which portraits are shrunk, and logits enlarged")
    training: TrainingConfig


class UnetSharedConfig(Section):
    """Settings that the U-Net versions share."""

    encoder: str = Field("mobilenet_v2", description="mobilenet_v2, or timm's name of an encoder")
    encoder_weights: Literal["imagenet"] | Path | None = Field(
        description="imagenet (downloaded), a safetensors file, or null: random initialization"
    )
    width: Literal["tiny", "narrow", "wide"] = Field(
        description="channels of the decoder (facemill/networks/unet.py): tiny, narrow or wide"
    )
    class_weights: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="weights of classes in the cross-entropy, such as {mouth: 2}; 1 for all others"
    )
    patience: Positive = Field(
        description="early stopping: validations (of ten) in a row more than a standard error below the best"
    )


class UnetConfig(UnetSharedConfig):
    """U-Nets with one encoder, MobileNetV2 unless said otherwise, and three decoders."""

    versions: Annotated[dict[Literal["v1", "v2", "v3"], UnetPresetConfig], Field(min_length=3)] = Field(
        description="settings in which v1, v2 and v3 differ"
    )


class UnetTrainConfig(UnetSharedConfig, UnetPresetConfig):
    """All settings of one U-Net version, none of another's."""


class SelfTrainingConfig(Section):
    """v4: a U-Net trained on the confident pseudo-labels of v3 as well."""

    confidence: Share = Field(description="least probability of a pixel's pseudo-label")
    training: TrainingConfig = Field(description="counted in unlabelled images; a batch has as many labelled ones")


class TokenUnetConfig(Section):
    """v5: v3 with the tokens of a vision transformer, trained on."""

    vit: str = Field(description="timm's name of a plain vision transformer, such as vit_small_patch14_dinov2")
    weights: Literal["published"] | Path | None = Field(
        description="published (downloaded), a safetensors file with timm's keys, or null: random initialization"
    )
    tuned_blocks: int = Field(0, ge=0, description="how many of its last blocks are trained; a matter for GPUs")
    copies: Positive = Field(
        description="augmented copies of each portrait to learn from; frozen blocks' tokens are computed once for each"
    )
    training: TrainingConfig


class DistillationConfig(Section):
    """v6: a U-Net of v3's size that learns the soft labels of others."""

    teachers: Annotated[list[Literal["v1", "v2", "v3", "v4", "v5"]], Field(min_length=1)] = Field(
        description="U-Nets whose mean probabilities are the soft labels"
    )
    training: TrainingConfig = Field(description="counted in unlabelled images; a batch has as many labelled ones")


class PseudoLabelsConfig(Section):
    """Labels of the whole collection, and the portraits that GauGAN is trained on."""

    version: Literal["v3", "v4", "v5", "v6"] = Field(description="the U-Net that labels: v3, v4, v5 or v6")
    min_confidence: Share = Field(description="least mean confidence of GauGAN's training portraits")
    max_flip_disagreement: Annotated[float, Field(gt=0, le=1)] = Field(
        description="largest share of their pixels whose class changes when they are flipped"
    )
