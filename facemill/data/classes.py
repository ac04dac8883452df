"""Class tables: which id, name, display color and role each class of a mask has.

A run's table is the section `classes` of the config. Every mask file, mask shard and model carries the table it was
made with. Code that needs a particular part of the portrait asks for a role, never for an id or a name.
"""

from functools import cached_property, lru_cache
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, model_validator

from facemill.errors import UserError

Role = Literal["background", "skin", "face", "eye", "mouth", "hair", "clothes"]

ROLES: tuple[Role, ...] = get_args(Role)
"""Parts of a portrait that code needs; several classes may share a role, and a class may have none."""

IGNORE = 255
"""The id of unlabelled pixels; losses and metrics leave them out."""


def _hex_color(value: str) -> str:
    if len(value) != 7 or value[0] != "#" or not all(c in "0123456789abcdefABCDEF" for c in value[1:]):
        raise ValueError(f"found {value!r}; accepted: a color such as '#a0b1c2'")
    return value


HexColor = Annotated[str, AfterValidator(_hex_color)]


class Class(BaseModel):
    """A class of pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]*$", description="in masks, metrics and `labels.merge`")
    color: HexColor = Field(description="in which masks are shown")
    role: Role | None = Field(None, description="the part of a portrait it belongs to; null: none that code asks for")


class ClassTable(RootModel[tuple[Class, ...]]):
    """The classes by id: `table.names[5] == "hair"`. The first is background, what lies around and under all others."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not 2 <= len(self.root) <= 64:
            raise ValueError(f"found {len(self.root)} classes; accepted: 2 to 64")
        if self.root[0].role != "background":
            raise ValueError(f"found {self.names[0]!r} first; accepted: a class of role background")
        if twice := [name for name in self.names if self.names.count(name) > 1]:
            raise ValueError(f"found {twice[0]!r} twice; accepted: each name once")
        return self

    def __len__(self) -> int:
        return len(self.root)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Class names by id."""
        return tuple(c.name for c in self.root)

    @cached_property
    def colors(self) -> tuple[tuple[int, int, int], ...]:
        """Display colors (sRGB) by id; `IGNORE` is shown white."""
        return tuple((int(c.color[1:3], 16), int(c.color[3:5], 16), int(c.color[5:7], 16)) for c in self.root)

    @cached_property
    def palette(self) -> bytes:
        """The 256 x 3 palette of mask files; ids that no class has are white."""
        return bytes(channel for color in self.colors for channel in color).ljust(768, b"\xff")

    def role_ids(self, *roles: Role) -> tuple[int, ...]:
        """The ids of the classes that have one of these roles."""
        return tuple(i for i, c in enumerate(self.root) if c.role in roles)

    def check_same(self, other: Self, what: str) -> None:
        """Raises `UserError` when another table, that of `what`, gives an id another name; colors may differ."""
        if self.names != other.names:
            raise UserError(f"{what}: has the classes {', '.join(other.names)}; accepted: {', '.join(self.names)}")


SEVEN = ClassTable(
    tuple(
        Class(name=role, color=color, role=role)
        for role, color in zip(
            ROLES, ("#282235", "#d99d25", "#fefbe5", "#35d8f9", "#730e05", "#863dc6", "#438171"), strict=True
        )
    )
)
"""The default table. No two of its colors are nearer than CIEDE2000 26 in normal or color-blind sight."""


@lru_cache
def parse_classes(text: str) -> ClassTable:
    """The table that a mask file's text chunk or a shard's metadata holds, as `model_dump_json` wrote it.

    Raises `ValueError` when it is none.
    """
    return ClassTable.model_validate_json(text)
