"""The portraits to label next: which are chosen, and what labelme and the next run read in their files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from labelme import LabelFile
from PIL import Image

from facemill.config.label import LabelsConfig
from facemill.config.review import ReviewConfig
from facemill.data.classes import SEVEN
from facemill.data.names import as_file_name, id_of_file
from facemill.data.shards import decode_mask, encode_mask, read_rows, write_shard
from facemill.errors import UserError
from facemill.label.label_files import labelme_files
from facemill.label.labelled_rows import labelled_rows
from facemill.metrics.segmentation import confusion, iou
from facemill.networks.store import load_model
from facemill.networks.unet import Unet
from facemill.review.review_portraits import embed, mean_rank, review_portraits, select_diverse, write_labelme
from facemill.review.score_portraits import score_portraits
from facemill.segment.pseudo_label import pseudo_label_schema

LABELS = LabelsConfig(**yaml.safe_load(Path("config/config.yaml").read_text())["labels"])


def pseudo_label(portrait_id: str, mask: np.ndarray, entropy: float = 0.1) -> dict[str, Any]:
    numbers = {"confidence": 0.9, "entropy": entropy} | {f"area_{name}": 0.1 for name in SEVEN.names}
    return {"id": portrait_id, "mask": {"bytes": encode_mask(mask, SEVEN)}} | numbers


def test_the_score_is_the_mean_rank():
    assert mean_rank(np.array([0.1, 9, 0.2]), np.array([0, 1, 0.5])).tolist() == [0, 1, 0.5]
    assert mean_rank(np.array([0.1, 9, 0.2]), np.array([1, 0.5, 0])).tolist() == [0.5, 0.75, 0.25]
    assert mean_rank(np.array([1.0]), np.array([1.0])).tolist() == [0]


def test_portraits_like_chosen_or_labelled_ones_wait():
    embeddings = np.array([[0, 0], [0, 0.1], [5, 0], [5, 5], [0.1, 0]])
    score = np.array([1, 0.99, 0.5, 0.6, 0.98])
    assert select_diverse(score, embeddings, np.zeros((0, 2)), 3) == [0, 3, 2]
    assert select_diverse(score, embeddings, np.array([[5.0, 5.0]]), 2) == [0, 2]
    assert sorted(select_diverse(score, embeddings, np.zeros((0, 2)), 9)) == [0, 1, 2, 3, 4]


def test_embeddings_are_unit_vectors_alike_for_like_portraits(models, pairs):
    rows = list(read_rows([pairs("a.parquet", range(3))]))
    embeddings = embed(load_model(Unet, models[2]), [*rows, rows[1]])
    assert embeddings.shape == (4, 1280) and np.linalg.norm(embeddings, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.allclose(embeddings[1], embeddings[3], atol=1e-6)
    assert not np.allclose(embeddings[0], embeddings[1], atol=1e-4)


def test_what_is_written_becomes_the_same_mask_in_the_next_run(tmp_path, scene, pairs):
    rows = list(read_rows([pairs("a.parquet", range(4))]))
    masks = [scene(seed, 64, 64) for seed in range(4)]
    written = [(row, pseudo_label(row["id"], mask)) for row, mask in zip(rows, masks, strict=True)]
    write_labelme(tmp_path, written, LABELS, SEVEN)
    names = {label for merged in LABELS.merge.values() for label in merged} | set(LABELS.ignore)
    assert set((tmp_path / "labels.txt").read_text().split()) == names
    for row in rows:
        opened = LabelFile(str(tmp_path / f"{row['id']}.json"))
        assert {shape["label"] for shape in opened.shapes} <= names
        assert opened.image_data == row["image"]["bytes"]
    again, warnings = labelled_rows(labelme_files(tmp_path, LABELS, SEVEN), SEVEN, 64)
    assert [row["id"] for row in again] == ["0", "1", "2", "3"] and not warnings
    for row, mask in zip(again, masks, strict=True):
        assert np.nanmin(iou(confusion(decode_mask(row["mask"]["bytes"]), mask, 7))) >= 0.995


@pytest.mark.parametrize(
    "row_id", ["a/cat.png", "../cat", "/cat", "CON", "a:b?", ".cat", "v1.2", "100%2F", r"\x82\xa0"]
)
def test_an_id_that_is_no_file_s_name_is_the_same_in_the_next_run(tmp_path, scene, pairs, row_id: str):
    """In kind folder an id is the image's path where its name is not unique."""
    [row] = read_rows([pairs("a.parquet", [0])])
    (tmp_path / "out").mkdir()
    write_labelme(tmp_path / "out", [(row | {"id": row_id}, pseudo_label(row_id, scene(0, 64, 64)))], LABELS, SEVEN)
    written = sorted((tmp_path / "out").iterdir(), key=lambda path: path.suffix)
    assert [path.suffix for path in written] == [".jpg", ".json", ".txt"]
    assert LabelFile(str(written[1])).image_data == row["image"]["bytes"]
    again, _ = labelled_rows(labelme_files(tmp_path / "out", LABELS, SEVEN), SEVEN, 64)
    assert [row["id"] for row in again] == [row_id]


@pytest.fixture
def shards(tmp_path, scene, pairs):
    """Two shards of portraits with pseudo-labels by which 3 and 25 are the most doubtful, and some labelled ones."""

    def write(name, seeds):
        path = tmp_path / name
        rows = [pseudo_label(str(s), scene(s, 64, 64), 1 if s in (3, 25) else s / 100) for s in seeds]
        write_shard(path, rows, pseudo_label_schema(SEVEN), SEVEN)
        return path

    ranges = [range(20), range(20, 30)]
    return {
        "portraits": [pairs(f"portraits-{i}.parquet", seeds) for i, seeds in enumerate(ranges)],
        "pseudo_labels": [write(f"pseudo-{i}.parquet", seeds) for i, seeds in enumerate(ranges)],
        "labelled": [pairs("train.parquet", range(5, 8)), pairs("test.parquet", range(8, 10))],
    }


def test_all_are_ranked_and_the_first_written(tmp_path, models, shards):
    tables = [tmp_path / "scores-0.parquet", tmp_path / "scores-1.parquet"]
    for portraits, pseudo_labels, table in zip(shards["portraits"], shards["pseudo_labels"], tables, strict=True):
        score_portraits(model=models[1], portraits=portraits, pseudo_labels=pseudo_labels, scores=table)
    out = {"labelme": tmp_path / "labelme", "ranking": tmp_path / "ranking.parquet", "picture": tmp_path / "review.png"}
    arguments = {"scores": tables, "model": models[2], "settings": ReviewConfig(portraits=4), "labels": LABELS}
    review_portraits(**shards, **arguments, **out)

    ranked = list(read_rows([out["ranking"]]))
    assert len(ranked) == 25 and not {row["id"] for row in ranked} & {str(i) for i in range(5, 10)}
    assert [row["score"] for row in ranked] == sorted((row["score"] for row in ranked), reverse=True)
    assert {row["id"] for row in ranked if row["uncertainty"] == 1} == {"3", "25"}
    chosen = {row["id"]: row["chosen"] for row in ranked if row["chosen"]}
    assert sorted(chosen.values()) == [1, 2, 3, 4]
    files = {path.name for path in out["labelme"].iterdir()}
    assert files == {"labels.txt"} | {f"{key}.{suffix}" for key in chosen for suffix in ("jpg", "json")}
    assert json.loads((out["labelme"] / f"{next(iter(chosen))}.json").read_text())["imageHeight"] == 64
    with Image.open(out["picture"]) as picture:
        assert picture.width > 4 * 128 and picture.height > 2 * 128

    review_portraits(**shards, **arguments | {"settings": ReviewConfig(portraits=2)}, **out)
    assert len(list(out["labelme"].iterdir())) == 5  # the earlier files are gone


def test_corrected_portraits_with_paths_for_ids_are_not_offered_again(tmp_path, models, shards):
    """Long ids are known by the names that `write_labelme` gave their files."""
    ids = ["a/0.png", f"{'画' * 100}/1.png", "2"]

    def renamed(path: Path, new_ids: list[str]) -> Path:
        rows = [row | {"id": new} for row, new in zip(read_rows([path]), new_ids, strict=False)]
        out = tmp_path / f"renamed-{path.name}"
        write_shard(out, rows, pq.read_schema(path).remove_metadata(), SEVEN)
        return out

    portraits, pseudo_labels = (renamed(shards[key][0], ids) for key in ("portraits", "pseudo_labels"))
    labelled = renamed(shards["labelled"][0], [id_of_file(as_file_name(row_id)) for row_id in ids[:2]])
    out = {name: tmp_path / name for name in ("scores", "labelme", "ranking", "picture.png")}
    score_portraits(model=models[1], portraits=portraits, pseudo_labels=pseudo_labels, scores=out["scores"])
    review_portraits(
        scores=[out["scores"]],
        portraits=[portraits],
        pseudo_labels=[pseudo_labels],
        labelled=[labelled],
        model=models[2],
        settings=ReviewConfig(portraits=3),
        labels=LABELS,
        labelme=out["labelme"],
        ranking=out["ranking"],
        picture=out["picture.png"],
    )
    assert [row["id"] for row in read_rows([out["ranking"]])] == ["2"]


def test_nothing_to_review_is_a_mistake(tmp_path, models, shards):
    table = tmp_path / "scores.parquet"
    score_portraits(
        model=models[1], portraits=shards["portraits"][0], pseudo_labels=shards["pseudo_labels"][0], scores=table
    )
    out = {"labelme": tmp_path / "labelme", "ranking": tmp_path / "ranking.parquet", "picture": tmp_path / "review.png"}
    with pytest.raises(UserError, match="every portrait is labelled"):
        review_portraits(
            **shards | {"labelled": shards["portraits"][:1]},
            scores=[table],
            model=models[2],
            settings=ReviewConfig(portraits=2),
            labels=LABELS,
            **out,
        )
    assert not out["labelme"].exists()
