"""The card of a dataset, and what the package `datasets` opens by it."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from datasets import get_dataset_config_names, load_dataset
from helpers.configs import overlaid, sample_config
from helpers.shared_dataset import MASK, write_tables

from facemill.config.root import Config
from facemill.config.validation import validate
from facemill.data.classes import SEVEN
from facemill.data.shards import count_rows, mask_classes, open_shard, read_rows, write_shard
from facemill.ingest.portraits import SCHEMA as PORTRAITS
from facemill.label.labelled_rows import SCHEMA as LABELS
from facemill.latent.encode_latents import LATENT_SCHEMA
from facemill.latent.tag_portraits import TAG_SCHEMA
from facemill.report.describe_dataset import describe_dataset
from facemill.report.tables import meaning
from facemill.segment.gate_pseudo_labels import SCHEMA as GATE
from facemill.segment.pseudo_label import pseudo_label_schema


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "results/mine"


@pytest.fixture
def tables(folder) -> list[Path]:
    return write_tables(folder)


def described(folder: Path, tables: list[Path], settings: Config | None = None) -> str:
    settings = settings or validate(sample_config(dataset="mine"))
    models = [folder / "unet/v3/README.md", folder / "vae/README.md"]
    describe_dataset(
        settings=settings, summary=folder / "summary.json", tables=tables, models=models, card=folder / "README.md"
    )
    return (folder / "README.md").read_text()


def header(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def opened(*arguments: str | Path, cache: Path, **options: str | Path) -> dict:
    texts = {key: str(value) for key, value in options.items()}
    return load_dataset(*map(str, arguments), **texts, cache_dir=str(cache))


def test_datasets_opens_every_table_by_the_card_with_its_splits(folder, tables, tmp_path):
    described(folder, tables)
    names = get_dataset_config_names(str(folder))
    assert names == ["portraits", "pseudo_labels", "labels", "gate"]
    rows = {name: opened(folder, name, cache=tmp_path / "cache") for name in names}
    counts = {name: {split: len(part) for split, part in parts.items()} for name, parts in rows.items()}
    assert counts == {
        "portraits": {"train": 9},
        "pseudo_labels": {"train": 9},
        "labels": {"train": 3, "validation": 1, "test": 2},
        "gate": {"train": 9},
    }
    portrait, label = rows["portraits"]["train"][7], rows["pseudo_labels"]["train"][7]
    assert portrait["id"] == label["id"] == "7" and portrait["tags"] == ["solo"]
    np.testing.assert_array_equal(np.asarray(portrait["image"]), np.full((8, 8, 3), 140))
    assert label["mask"].mode == "P" and label["mask"].getpalette()[: 3 * len(SEVEN)] == list(
        SEVEN.palette[: 3 * len(SEVEN)]
    )
    np.testing.assert_array_equal(np.asarray(label["mask"]), MASK)
    assert rows["gate"]["train"]["rejected"][:4] == ["confidence", None, None, "confidence"]


def test_datasets_opens_shards_and_splits_without_rows(folder, tables, tmp_path):
    empty = [folder / f"{name}.parquet" for name in ("portraits/shard-0000", "pseudo_labels/shard-0000", "labels/test")]
    for path in empty:
        schema = open_shard(path).schema_arrow
        write_shard(path, [], schema, SEVEN if "mask" in schema.names else None)
        assert list(read_rows([path])) == [] and count_rows([path]) == 0
    described(folder, tables)
    cache = tmp_path / "cache"
    assert len(opened(folder, "portraits", cache=cache)["train"]) == 4
    assert {s: len(part) for s, part in opened(folder, "labels", cache=cache).items()} == {"train": 3, "validation": 1}
    assert "Rows: 3 in train, 1 in validation, 0 in test." in (folder / "README.md").read_text()
    assert len(opened("parquet", data_dir=folder / "pseudo_labels", cache=cache)["train"]) == 4
    assert mask_classes(empty[1:]) == SEVEN


def test_datasets_opens_the_portraits_where_no_table_is_named(folder, tables, tmp_path):
    described(folder, tables)
    assert opened(folder, cache=tmp_path / "cache")["train"]["source"][:2] == ["0.png", "1.png"]


@pytest.mark.parametrize("table", ["portraits", "pseudo_labels", "labels"])
def test_datasets_opens_a_folder_of_shards_without_a_card(folder, tables, tmp_path, table):
    rows = opened("parquet", data_dir=folder / table, cache=tmp_path / "cache")
    assert len(rows["train"]) == (3 if table == "labels" else 9)
    column = "image" if table == "portraits" else "mask"
    assert rows["train"][0][column].size == (8, 8)


def test_a_product_of_a_later_stage_is_one_more_table(folder, tables, tmp_path):
    generated = folder / "generated/shard-0000.parquet"
    generated.parent.mkdir()
    generated.write_bytes((folder / "portraits/shard-0000.parquet").read_bytes())
    assert "\n### `generated`\n" in described(folder, [*tables, generated])
    assert opened(folder, "generated", cache=tmp_path / "cache")["train"][3]["image"].size == (8, 8)
    assert opened("parquet", data_dir=folder / "generated", cache=tmp_path / "cache")["train"][3]["id"] == "3"


def test_a_shard_that_a_run_with_more_shards_left_is_not_in_the_card(folder, tables, tmp_path):
    (folder / "portraits/shard-0002.parquet").write_bytes(tables[0].read_bytes())
    described(folder, tables)
    assert len(opened(folder, "portraits", cache=tmp_path / "cache")["train"]) == 9


@pytest.mark.parametrize(
    "schema",
    [PORTRAITS, LABELS, GATE, LATENT_SCHEMA, TAG_SCHEMA, pseudo_label_schema(SEVEN)],
    ids=["portraits", "labels", "gate", "latents", "tags", "pseudo_labels"],
)
def test_every_column_has_a_meaning(schema):
    assert [name for name in schema.names if not meaning(name)] == []


def test_counts_columns_and_classes_are_in_the_card(folder, tables):
    lines = described(folder, tables).splitlines()
    assert "| posts | 1,200 |" in lines and "| labelled portraits | 6 |" in lines
    assert "Rows: 3 in train, 1 in validation, 2 in test." in lines
    assert "| `confidence` | float | mean probability of the predicted classes over the pixels |" in lines
    assert "| `mask` | image | class ids, a palette PNG; 255 is ignored |" in lines
    assert "| `tags` | list of string | tags of the image |" in lines
    assert "| 5 | `hair` | `#863dc6` | hair |" in lines
    assert "- Filter: ratings g, s; min_score 0; min_size 256; tags_all solo; tags_none lying, from_side." in lines
    assert "- [unet/v3/README.md](unet/v3/README.md)" in lines


def test_a_dataset_without_masks_has_no_classes(folder, tables):
    source = {"images": str(folder), "attributes": str(tables[0])}
    settings = validate(overlaid("celeba", dataset="faces", source=source))
    card = described(folder, tables[:2], settings)
    assert "## Classes" not in card and "U-Net" not in card and "ToonHead" not in card
    assert header(card)["task_categories"] == ["unconditional-image-generation"]


def test_a_license_is_the_one_in_the_config_and_unknown_without(folder, tables):
    card = described(folder, tables)
    assert "license" not in header(card) and "Unknown: its makers name none." in card
    licensed = validate(sample_config(dataset="mine", licenses={"dataset": "CC-BY-4.0", "models": "mit"}))
    card = described(folder, tables, licensed)
    assert header(card)["license"] == "cc-by-4.0" and "Unknown" not in card
    terms = validate(sample_config(dataset="mine", licenses={"dataset": "terms of the archive"}))
    named = header(described(folder, tables, terms))
    assert (named["license"], named["license_name"]) == ("other", "terms of the archive")


def test_the_same_run_has_the_same_card(folder, tables):
    assert described(folder, tables) == described(folder, tables)
