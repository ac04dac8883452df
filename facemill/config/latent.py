"""The config of stage latent: tags, color names, attribute vectors."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from facemill.config.fields import Palette, Positive, Section, Share


class TagsConfig(Section):
    """Where tags come from, and what colors are called."""

    sources: Annotated[list[Literal["tags", "color", "i2v", "wd14"]], Field(min_length=1)] = Field(
        description="`tags`: the collection's own; `color`: median colors under the masks; `i2v`, `wd14`: networks; "
        "the first that has a name gives it"
    )
    i2v: Path | None = Field(None, description="folder of illustration2vec's published files")
    wd14: Path | None = Field(None, description="folder of a WD14 tagger's model.onnx and selected_tags.csv")
    threshold: Share = Field(0.25, description="probability from which a network's tag is believed")
    hair_colors: Palette
    skin_colors: Palette
    eye_colors: Palette

    @model_validator(mode="after")
    def _networks_have_files(self) -> Self:
        if missing := [name for name in ("i2v", "wd14") if name in self.sources and getattr(self, name) is None]:
            raise ValueError(f"{missing[0]}: found nothing; accepted: the folder of its files, since sources names it")
        return self


class AttributesConfig(Section):
    """Attribute vectors and the pictures they make."""

    booleans: list[str] = Field([], description="tags that are attributes of their own, such as Smiling")
    method: Literal["means", "logistic"] = Field(
        "means", description="difference of means, or the normal of a logistic regression"
    )
    preserve: list[str] = Field([], description="regions whose colors, and booleans, that vectors leave as they are")
    strength: float = Field(1, gt=0, description="how many times a vector is added")
    min_images: Positive = Field(description="least number of latents behind a vector")
    eval_portraits: Positive = Field(description="held-out portraits on which each vector is tried")
    steps: Annotated[int, Field(ge=2)] = Field(description="pictures in a transition")


class LatentsConfig(Section):
    """The portraits whose style codes are encoded."""

    max_portraits: Positive = Field(description="that are encoded: on the t-SNE map and behind the vectors")
