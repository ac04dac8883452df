"""The command of rule `summarize`."""

import json
from pathlib import Path

from facemill.data.shards import count_rows
from facemill.files import write_json
from facemill.workflow.command import run


def main(
    *,
    posts: Path,
    selected: Path,
    portraits: list[Path],
    rejects: list[Path],
    labels: list[Path] | None = None,
    augmented: Path | None = None,
    names: list[str],
    measured: list[Path],
    out: Path,
) -> None:
    """Gathers every number of a run in one JSON: rows are counted, the rest is what each stage measured itself.

    Args:
        posts: table of all posts
        selected: table of the posts that the filter keeps
        portraits: shards of portraits
        rejects: tables of what could not be used
        labels: the labelled portraits' parts, where there are any
        augmented: shard of augmented portraits, where there is one
        names: what the summary calls each of the measured
        measured: JSON files of what stages measured
        out: the JSON to write
    """
    counted = {
        "posts": count_rows([posts]),
        "selected": count_rows([selected]),
        "portraits": count_rows(portraits),
        "rejected": count_rows(rejects),
    }
    if labels and augmented:
        counted["labels"] = {"images": count_rows(labels), "augmented": count_rows([augmented])}
    found = {name: json.loads(path.read_text()) for name, path in zip(names, measured, strict=True)}
    write_json(out, counted | found)


if __name__ == "__main__":
    run(main)
