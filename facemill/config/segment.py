"""The config of stage segment: the U-Nets, self-training, pseudo-labels."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from facemill.config.fields import Downscale, Positive, Section, Share, TrainingConfig


class UnetPresetConfig(Section):
    """What tells the U-Net versions apart."""

    decoder: Literal["transposed", "upsample"]
    downscale: Downscale = Field(description="the network works at the portraits' size divided by this")
    training: TrainingConfig


Width = Literal["tiny", "narrow", "wide"]


ClassWeights = Annotated[
    dict[str, Annotated[float, Field(gt=0)]],
    Field(description="of the classes in the cross-entropy; 1 where nothing is said"),
]


Patience = Annotated[Positive, Field(description="validations, of ten, in a row below the best, after which it stops")]


class UnetConfig(Section):
    """The U-Nets: a MobileNetV2 encoder under three decoders."""

    encoder_weights: Literal["imagenet"] | Path | None = Field(description="`imagenet`, a safetensors file, or null")
    width: Width = Field(description="of the decoder; facemill/networks/unet.py has the channels")
    class_weights: ClassWeights = {}
    patience: Patience
    versions: Annotated[dict[Literal["v1", "v2", "v3"], UnetPresetConfig], Field(min_length=3)]


class SelfTrainingConfig(Section):
    """v4: a new U-Net that learns from what v3 is sure of in the unlabelled portraits, too."""

    confidence: Share = Field(description="probability from which a pixel's class is believed")
    training: TrainingConfig = Field(
        description="counted in unlabelled images; as many labelled ones are seen beside them"
    )


class PseudoLabelsConfig(Section):
    """Who labels the collection, and which of its portraits GauGAN may learn from."""

    version: Literal["v3", "v4"] = Field(description="the U-Net that labels")
    min_confidence: Share = Field(description="least mean confidence of an accepted portrait")
    max_flip_disagreement: Annotated[float, Field(gt=0, le=1)] = Field(
        description="largest share of its pixels whose class changes when it is mirrored"
    )


class UnetTrainConfig(Section):
    """All that one U-Net version is trained with; another version's settings do not concern it."""

    encoder_weights: Literal["imagenet"] | Path | None
    width: Width
    class_weights: ClassWeights
    patience: Patience
    decoder: Literal["transposed", "upsample"]
    downscale: Downscale
    training: TrainingConfig
