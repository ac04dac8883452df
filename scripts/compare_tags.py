"""Counts tags, and compares the sources that gave them."""

from pathlib import Path
from typing import Annotated

from facemill.config.latent import TagsConfig
from facemill.data.shards import read_rows
from facemill.files import write_json
from facemill.latent.tag_portraits import GROUPS, agreement, names_of
from facemill.workflow.command import Settings, run


def main(*, tags: list[Path], settings: Annotated[TagsConfig, Settings], out: Path) -> None:
    """Writes for each exclusive group how often each name was given, and how far each two sources agree."""
    columns = [*GROUPS, "tags", "tag_probabilities", "tag_sources"]
    write_json(out, agreement(read_rows(tags, columns), names_of(settings), settings.sources))


if __name__ == "__main__":
    run(main)
