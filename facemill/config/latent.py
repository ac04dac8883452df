"""The config of stage latent: latents, tags, color names, attribute vectors."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from facemill.config.fields import Palette, Positive, Section, Share


class LatentsConfig(Section):
    """The portraits whose style codes are encoded."""

    max_portraits: Positive = Field(description="largest number of portraits on the t-SNE map and behind the vectors")


class TagsConfig(Section):
    """Sources of tags, and the names of colors."""

    sources: Annotated[list[Literal["tags", "color", "i2v", "wd14"]], Field(min_length=1)] = Field(
        description="tags: the collection's; color: median colors under the masks; i2v, wd14: taggers; the first that "
        "has a name assigns it, another source evaluates the edits"
    )
    i2v: Path | None = Field(
        None,
        description="folder of illust2vec_tag.prototxt, illust2vec_tag_ver200.caffemodel and tag_list.json",
    )
    wd14: Path | None = Field(None, description="folder of a WD14 tagger's model.onnx and selected_tags.csv")
    threshold: Share = Field(0.25, description="probability above which a tagger's tag counts")
    hair_colors: Palette = Field({}, description="names, as in Danbooru's tags, and typical colors; null removes one")
    skin_colors: Palette = Field({}, description="the same for skin")
    eye_colors: Palette = Field({}, description="the same for eyes with lashes and pupils, so dark colors")

    @model_validator(mode="after")
    def _networks_have_files(self) -> Self:
        if missing := [name for name in ("i2v", "wd14") if name in self.sources and getattr(self, name) is None]:
            raise ValueError(f"{missing[0]}: found nothing; accepted: the folder of its files, since sources names it")
        return self


class AttributesConfig(Section):
    """Attribute vectors, their evaluation and pictures."""

    booleans: list[str] = Field([], description="tags that are attributes by themselves, such as Smiling")
    method: Literal["means", "logistic"] = Field(
        "means", description="means: difference of means; logistic: normal of a logistic regression"
    )
    preserve: list[str] = Field([], description="regions whose colors, and booleans, that vectors leave unchanged")
    strength: float = Field(1, gt=0, description="factor of a vector when it is added")
    min_images: Positive = Field(description="least number of latents behind a vector")
    eval_portraits: Positive = Field(
        description="held-out portraits on which each vector is evaluated, and as many others to choose settings by"
    )
    steps: Annotated[int, Field(ge=2)] = Field(description="pictures in a transition")
