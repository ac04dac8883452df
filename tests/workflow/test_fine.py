"""Another class table through the whole chain: the fifteen classes of `config/fine.yaml`, on the tiny config."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.running import ROOT, made_once, new_project, snakemake

from facemill.data.classes import SEVEN, ClassTable
from facemill.data.shards import decode_image, decode_mask, mask_classes, read_rows
from facemill.errors import UserError
from facemill.inference.segmenter import Segmenter
from facemill.metrics.segmentation import confusion, iou
from facemill.networks.spade import Generator
from facemill.networks.store import load_model, model_classes
from facemill.networks.unet import Unet

FINE = ClassTable.model_validate(yaml.safe_load((ROOT / "config/fine.yaml").read_text())["classes"])
VERSIONS = ("v1", "v2", "v3", "v4", "v5", "v6")
SHORT = [
    "sample={portraits: 60}",
    "gaugan={training: {images: 16}}",
    "vae={training: {images: 32}}",
    "self_training={training: {images: 16}}",
    "token_unet={vit: vit_tiny_patch16_224, weights: null, copies: 2, "
    "training: {images: 16, batch: 4, learning_rate: 1e-4}}",
    "distillation={teachers: [v3, v5], training: {images: 16, batch: 4, learning_rate: 1e-3}}",
    "pseudo_labels={max_flip_disagreement: 1}",
    "label_quality={folds: 2, training: {images: 16}}",
]
"""Fewer portraits and shorter trainings; the gate accepts all. v3 keeps its 400 images: its masks tell hair colors."""


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> Path:
    """The results of the whole chain and of the review with the fine classes."""

    def make(folder: Path) -> None:
        project = new_project(folder / "facemill")
        targets = ["--", "all", "review", "label_quality"]
        code, said = snakemake(project, "--configfile", "config/fine.yaml", "--config", *SHORT, *targets)
        assert code == 0, said

    return made_once(tmp_path_factory, "fine", make) / "facemill/results/fine"


def test_shards_of_masks_and_each_mask_in_them_carry_the_table(results):
    shards = [*results.glob("labels/*.parquet"), *results.glob("augmented/*.parquet")]
    shards += sorted(results.glob("pseudo_labels/shard-*.parquet"))
    assert len(shards) == 3 + 2 + 2 and mask_classes(shards) == FINE
    for row in read_rows(shards, ["mask"]):
        decode_mask(row["mask"]["bytes"], FINE)
        with pytest.raises(UserError, match="a mask: has the classes background, body, ear"):
            decode_mask(row["mask"]["bytes"], SEVEN)


def test_labels_hold_classes_that_the_seven_do_not_tell_apart(results):
    masks = [decode_mask(row["mask"]["bytes"]) for row in read_rows([*results.glob("labels/*.parquet")], ["mask"])]
    present = {FINE.names[i] for i in np.unique(masks) if i < len(FINE)}
    assert {"background", "body", "ear", "face", "nose", "mouth", "eyebrow", "pupil", "hair", "clothes"} <= present


def test_models_carry_the_table_and_refuse_another(results):
    for path in (*(results / f"unet/{version}" for version in VERSIONS), results / "gaugan"):
        assert model_classes(path) == FINE
        assert json.loads((path / "model.json").read_text())["arguments"]["classes"] == 15
    with pytest.raises(UserError, match="has the classes background, body, ear"):
        load_model(Unet, results / "unet/v3", SEVEN)
    with pytest.raises(UserError, match="has the classes background, body, ear"):
        load_model(Generator, results / "gaugan", SEVEN)


def test_metrics_are_those_of_fifteen_classes(results):
    summary = json.loads((results / "summary.json").read_text())
    for version in VERSIONS:
        assert set(summary["unet"][version]["iou"]) == set(FINE.names)
    assert summary["pseudo_labels"]["images"] == summary["portraits"]
    assert set(summary["gaugan"]["resegmentation_iou"]) == set(FINE.names)
    assert summary["tags"]["hair_color"]["tags_color"]["images"] > 0  # of the classes of role `hair`
    assert (results / "report.html").stat().st_size > 0


def test_the_second_opinion_of_a_pseudo_label_is_v5s(results):
    segmenter = Segmenter.load(results / "unet/v5", FINE)
    shards = [results / f"{product}/shard-0000.parquet" for product in ("portraits", "pseudo_labels", "review")]
    for portrait, label, score in list(zip(*map(lambda shard: read_rows([shard]), shards), strict=True))[:4]:
        [mask] = segmenter.masks([decode_image(portrait["image"]["bytes"])])
        agreement = np.nanmean(iou(confusion(decode_mask(label["mask"]["bytes"]), mask, len(FINE))))
        assert score["disagreement"] == pytest.approx(1 - agreement, abs=0.02)


def test_labels_are_judged_by_a_v5_of_each_fold(results):
    folds = [json.loads(path.read_text()) for path in results.glob("label_quality/fold-*/v5/model.json")]
    assert [fold["arguments"]["vit"] for fold in folds] == ["vit_tiny_patch16_224"] * 2
    judged = (results / "label_quality/ranking.csv").read_text().splitlines()[1:]
    assert len(judged) == len(list(read_rows([*results.glob("labels/*.parquet")], ["id"])))
