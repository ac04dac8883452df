"""What the config's sections are made of."""

import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from facemill.data.classes import HexColor

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]


def _iso_date(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.date) else value  # YAML reads dates as dates


Date = Annotated[str, BeforeValidator(_iso_date), Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


def without_nulls(value: Any) -> Any:
    """A mapping less its null entries: an overlay removes an entry of `config.yaml` by setting it to null."""
    return {k: v for k, v in value.items() if v not in (None, "null")} if isinstance(value, dict) else value


def number(value: Any) -> Any:
    """A number that came as a string, as Snakemake's `--config` hands it on."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


Size = Annotated[Literal[32, 64, 128, 256, 512], BeforeValidator(number)]
Downscale = Annotated[Literal[1, 2, 4], BeforeValidator(number)]


Palette = Annotated[
    dict[str, Annotated[list[HexColor], Field(min_length=1)]],
    BeforeValidator(without_nulls),
    Field({}, description="names, as tags have them, and typical colors; null takes a name away"),
]


class Section(BaseModel):
    """A part of the config; unknown keys are refused.

    Numbers and null may come as strings: Snakemake's `--config key='{a: 1, b: null}'` hands them on so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _read_nulls(cls, content: Any) -> Any:
        return {k: None if v == "null" else v for k, v in content.items()} if isinstance(content, dict) else content


class TrainingConfig(Section):
    """One training: counted in images, so that it means the same at any batch size."""

    images: Positive = Field(description="images seen, repeats counted")
    batch: Positive
    learning_rate: float = Field(gt=0)
