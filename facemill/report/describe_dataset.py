"""The card of a dataset, by which `datasets.load_dataset(folder)` opens its tables."""

import json
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa

from facemill.config.root import Config
from facemill.data.shards import IMAGE, count_rows, open_shard
from facemill.data.splits import Split
from facemill.files import atomic_write
from facemill.report import markdown
from facemill.report.tables import TABLES, meaning

Splits = dict[str, list[Path]]
"""The files of each split of a table."""

SAMPLE = (
    "a collection of drawings that Facemill renders, remixes of "
    "[ToonHead](https://www.figma.com/community/file/1589627891082866389) by Johan Melin, licensed under "
    "[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/)"
)


def describe_dataset(
    *, settings: Config, summary: Path, tables: list[Path], models: list[Path] | None = None, card: Path
) -> None:
    """Writes the card of a dataset: its tables with their columns, splits and counts, its classes, how it was made.

    The header names the files of each table, so that `datasets.load_dataset(folder, "pseudo_labels")` opens it.

    Args:
        settings: the config.
        summary: JSON of all numbers of the run.
        tables: Parquet files in folders beside the card, each folder a table; files of the name of a split are that
            split, all others are the split train.
        models: cards of the models in folders beside the card.
        card: the Markdown to write.
    """
    named: dict[str, Splits] = {}
    for path in tables:
        split = path.stem if path.stem in get_args(Split) else "train"
        named.setdefault(path.parent.name, {}).setdefault(split, []).append(path)
    license_name = settings.licenses.get("dataset")
    classes = [f"## Classes\n\n{markdown.class_table(settings.classes)}"] if settings.masked else []
    links = [path.relative_to(card.parent).as_posix() for path in models or []]
    text = markdown.card(
        _header(settings, named),
        license_name,
        _introduction(settings, json.loads(summary.read_text())),
        f"## Tables\n\n{_opening(settings, list(named))}",
        *(_table(name, splits) for name, splits in named.items()),
        *classes,
        f"## How it was made\n\n{_making(settings)}",
        *(["## Models\n\n" + "\n".join(f"- [{link}]({link})" for link in links)] if links else []),
        markdown.license_part(license_name, "dataset"),
    )
    with atomic_write(card) as tmp:
        tmp.write_text(text)


def _header(settings: Config, named: dict[str, Splits]) -> dict[str, Any]:
    """The metadata that `datasets` reads: https://huggingface.co/docs/hub/datasets-manual-configuration.

    Splits without rows are left out, since `datasets` refuses them.
    """
    configs: list[dict[str, Any]] = []
    for name, splits in named.items():
        files = [
            {"split": split, "path": [f"{name}/{path.name}" for path in paths]}
            for split, paths in splits.items()
            if count_rows(paths)
        ]
        if files:
            configs.append({"config_name": name, "data_files": files} | ({} if configs else {"default": True}))
    tasks = ["image-segmentation"] if settings.masked else ["unconditional-image-generation"]
    return {"pretty_name": settings.dataset, "task_categories": tasks, "tags": ["facemill"], "configs": configs}


def _introduction(settings: Config, summary: dict[str, Any]) -> str:
    counts = {name: summary[name] for name in ("posts", "selected", "portraits", "rejected")}
    counts |= {"labelled portraits": summary["labels"]["images"]} if "labels" in summary else {}
    counts |= {"pseudo-labels": summary["pseudo_labels"]["images"]} if "pseudo_labels" in summary else {}
    size = f"{settings.portraits.width} x {settings.portraits.size}"
    masks = ", their masks," if settings.masked else ""
    return (
        f"# {settings.dataset}\n\nPortraits of {size} pixels{masks} and what networks learned of them. "
        f"Made with Facemill.\n\n"
        f"{markdown.table(['rows', 'count'], [(name, markdown.number(n)) for name, n in counts.items()])}"
    )


def _opening(settings: Config, names: list[str]) -> str:
    lines = [f'{name} = load_dataset("FOLDER", "{name}", split="train")' for name in names[:2]]
    return (
        "\n".join(["```python", "from datasets import load_dataset", "", *lines, "```"])
        + "\n\nFOLDER is the folder of this card. A portrait has the same id in all tables. "
        f"{settings.holdout:.0%} of the portraits, by a hash of their ids, are held out: VAE and GauGAN are not "
        "trained on them (`facemill.data.splits.held_out`)."
    )


def _table(name: str, splits: Splits) -> str:
    """A table's numbers of rows and its columns."""
    counts = ", ".join(f"{count_rows(paths):,} in {split}" for split, paths in splits.items())
    schema = open_shard(next(iter(splits.values()))[0]).schema_arrow
    columns = [
        (", ".join(f"`{field.name}`" for field in fields), *described)
        for described, fields in groupby(schema, lambda field: (_kind(field.type), meaning(field.name)))
    ]
    title = f"### `{name}`: {TABLES[name]}" if name in TABLES else f"### `{name}`"
    return f"{title}\n\nRows: {counts}.\n\n{markdown.table(['column', 'type', 'what it is'], columns)}"


def _kind(kind: pa.DataType) -> str:
    if kind == IMAGE:
        return "image"
    return f"list of {_kind(kind.value_type)}" if pa.types.is_list(kind) else str(kind)


def _making(settings: Config) -> str:
    """How the dataset was made, as a list, from the settings."""
    gate, portraits = settings.pseudo_labels, settings.portraits
    criteria = [
        f"{key} {', '.join(value) if isinstance(value, list) else value}"
        for key, value in settings.filter
        if value not in (None, [])
    ]
    faces = f", around faces that {portraits.detector.kind} found" if portraits.detector else ""
    steps = [
        f"Source: {SAMPLE if settings.kind == 'sample' else f'a collection of the kind {settings.kind}'}.",
        f"Filter: {'; '.join(criteria) or 'none'}.",
        f"Portraits: crops of the images{faces}, resized to {portraits.width} x {portraits.size} pixels.",
    ]
    if settings.masked:
        steps += [
            "Labels: labelme files or ready-made masks, merged into the classes above, and split by portrait; "
            "near-duplicates are in one split.",
            f"Pseudo-labels: predictions of U-Net {gate.version}, corrected by nobody.",
            f"Gate: a mean confidence of at least {gate.min_confidence:g}, a flip disagreement of at most "
            f"{gate.max_flip_disagreement:g}.",
        ]
    listed = "\n".join(f"- {step}" for step in steps)
    return (
        f"{listed}\n\n`bom.json` (CycloneDX) lists every setting, digests of code, weights and data, their licenses as "
        "far as they are known, and packages; `summary.json` has all figures, `report.html` all pictures."
    )
