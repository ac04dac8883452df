"""Field types and base classes of the config's sections."""

import datetime
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from facemill.data.classes import HexColor
from facemill.files import expand_home

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]


def _iso_date(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.date) else value  # YAML reads dates as dates


Date = Annotated[str, BeforeValidator(_iso_date), Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


def without_nulls(value: Any) -> Any:
    """A mapping less its null entries: an overlay removes an entry of `config.yaml` by setting it to null."""
    return {k: v for k, v in value.items() if v not in (None, "null")} if isinstance(value, dict) else value


def number(value: Any) -> Any:
    """A number that came as a string, as Snakemake's `--config` passes it."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


Size = Annotated[Literal[32, 64, 128, 256, 512], BeforeValidator(number)]
Downscale = Annotated[Literal[1, 2, 4], BeforeValidator(number)]

Palette = Annotated[dict[str, Annotated[list[HexColor], Field(min_length=1)]], BeforeValidator(without_nulls)]
"""Color names and the typical colors of each."""


class Section(BaseModel):
    """A part of the config; unknown keys are refused.

    Numbers and null may be strings: Snakemake passes `--config key='{a: 1, b: null}'` that way. In paths `~` is the
    user's home.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _read_nulls(cls, content: Any) -> Any:
        return {k: None if v == "null" else v for k, v in content.items()} if isinstance(content, dict) else content

    @field_validator("*")
    @classmethod
    def _expand_home(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [expand_home(item) if isinstance(item, Path) else item for item in value]
        return expand_home(value) if isinstance(value, Path) else value


class TrainingConfig(Section):
    """Length, batch size and learning rate of a training."""

    images: Positive = Field(
        description="length in images, repeats counted, so that it means the same at any batch size"
    )
    batch: Positive = Field(description="batch size")
    learning_rate: float = Field(gt=0, description="learning rate at the peak of its schedule")

    @property
    def steps(self) -> int:
        """The number of batches that hold `images`."""
        return math.ceil(self.images / self.batch)
