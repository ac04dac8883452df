"""The style `emoji` as a file, to start one's own from."""

from pathlib import Path

from facemill.avatars import emoji
from facemill.files import write_json


def write_emoji_style(*, style: Path) -> None:
    """Writes the definition of the style `emoji`: an example of a style of one's own.

    Args:
        style: the JSON to write, in DiceBear's schema.
    """
    write_json(style, emoji.definition())
