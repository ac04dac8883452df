"""Backends that paint one portrait at a time, as fast as the machine can."""

from typing import Literal

from facemill.errors import UserError

Precision = Literal["auto", "bfloat16", "float32"]
"""`auto`: bfloat16 where it is fast."""


class NoPicture(UserError):
    """A generator that returns no finite numbers."""

    def __init__(self) -> None:
        super().__init__("the model returned no picture")
