"""All numbers of a run in one JSON, and a table of them for the report."""

import json
from html import escape
from pathlib import Path
from typing import Any

from facemill.data.shards import count_rows
from facemill.files import atomic_write, write_json
from facemill.report.markdown import scalars

STYLE = "body { font: 14px/1.5 system-ui, sans-serif } td { padding: 0 1em } td + td { text-align: right }"


def summarize(
    *,
    posts: Path,
    selected: Path,
    portraits: list[Path],
    rejects: list[Path],
    labels: list[Path] | None = None,
    augmented: Path | None = None,
    names: list[str],
    metrics: list[Path],
    summary: Path,
    page: Path,
) -> None:
    """Gathers every number of a run in one JSON: counts of rows, and the metrics of all stages.

    Args:
        posts: table of all posts.
        selected: table of the posts that the filter selects.
        portraits: shards of portraits.
        rejects: tables of rejected posts and images.
        labels: the labelled portraits' parts, where there are any.
        augmented: shard of augmented portraits, where there is one.
        names: name of each metrics file in the summary.
        metrics: JSON files, one a name.
        summary: the JSON to write.
        page: HTML with a table of them, without lists, and with a dash for what was not measured.
    """
    counts: dict[str, Any] = {
        "posts": count_rows([posts]),
        "selected": count_rows([selected]),
        "portraits": count_rows(portraits),
        "rejected": count_rows(rejects),
    }
    if labels and augmented:
        counts["labels"] = {"images": count_rows(labels), "augmented": count_rows([augmented])}
    measured = {name: json.loads(path.read_text()) for name, path in zip(names, metrics, strict=True)}
    write_json(summary, counts | measured)
    with atomic_write(page) as tmp:
        tmp.write_text(summary_page(counts | measured))


def summary_page(content: dict[str, Any]) -> str:
    """A page with a row for each number that is in no list, named as in `summary.json`: `unet.v3.iou.hair`."""
    rows = "\n".join(f"<tr><td>{escape(name)}<td>{escape(value)}" for name, value in scalars(content))
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>All numbers</title><style>{STYLE}</style>\n'
        f"<table>\n{rows}\n</table>\n</html>\n"
    )
