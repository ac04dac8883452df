"""The config of stage avatars: drawing styles, the comparison of extractors, films."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from facemill.config.fields import Positive, Section, Share, TrainingConfig


class AvatarsConfig(Section):
    """Avatars of portraits in drawing styles."""

    styles: Annotated[list[str], Field(min_length=1)] = Field(
        description="names in the package dicebear-styles, emoji, or paths of style definitions (JSON)"
    )
    resnet50_weights: Literal["imagenet"] | Path | None = Field(
        None, description="imagenet (downloaded) or a safetensors file; null: resnet50 is left out of the comparison"
    )
    size: Positive = Field(description="pixels at which styles are rendered")
    looks: Positive = Field(description="slightly moved copies of a portrait whose descriptors are averaged")
    keep: Share = Field(
        description="in films another variant must be nearer by this share of what it would be for itself,"
    )
    hold: Positive = Field(description="and for so many frames")
    shown: Positive = Field(description="held-out portraits on the contact sheet")
    film: Path | None = Field(None, description="a film, or folder of frames, for the film of embeddings")
    training: TrainingConfig = Field(
        description="training of each autoencoder of the comparison, in parts of portraits"
    )

    @field_validator("styles")
    @classmethod
    def _names_differ(cls, value: list[str]) -> list[str]:
        """Their files are named after styles, and definitions after the file's name without its suffix."""
        names = [Path(style).stem for style in value]
        if twice := [style for style, name in zip(value, names, strict=True) if names.count(name) > 1]:
            raise ValueError(f"found {', '.join(twice)}; accepted: styles of different names")
        return value
