"""All numbers of a run in one JSON."""

import json
from pathlib import Path

from facemill.data.shards import count_rows
from facemill.files import write_json


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
    """
    counts: dict[str, object] = {
        "posts": count_rows([posts]),
        "selected": count_rows([selected]),
        "portraits": count_rows(portraits),
        "rejected": count_rows(rejects),
    }
    if labels and augmented:
        counts["labels"] = {"images": count_rows(labels), "augmented": count_rows([augmented])}
    measured = {name: json.loads(path.read_text()) for name, path in zip(names, metrics, strict=True)}
    write_json(summary, counts | measured)
