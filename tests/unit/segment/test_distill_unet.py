"""v6: soft labels, what a student learns of them, and exact resume."""

import pyarrow as pa
import pytest
import torch
from helpers.scenes import THREE, save_unet, save_varied_unet
from helpers.training import sigterm_in_step
from torch.nn import functional as F

from facemill.config.fields import TrainingConfig
from facemill.config.segment import DistillationConfig, UnetTrainConfig
from facemill.data.shards import IMAGE, read_rows, write_shard
from facemill.errors import UserError
from facemill.networks.store import load_model
from facemill.networks.unet import Unet
from facemill.segment import distill_unet as distill_unet_module
from facemill.segment.distill_unet import distill_unet, most_of, soft_cross_entropy, soft_labels, student_view
from facemill.segment.self_train_unet import unlabelled_rows


@pytest.fixture
def arguments(tmp_path, monkeypatch, pairs) -> dict:
    """The arguments of a distillation but model and curves; the teachers have random weights."""
    monkeypatch.chdir(tmp_path)
    training = TrainingConfig(images=120, batch=4, learning_rate=3e-3)
    built = {"encoder_weights": None, "width": "tiny", "patience": 10, "decoder": "upsample", "downscale": 1}
    train, validation, portraits = (pairs(n, r) for n, r in (("t", range(4)), ("v", range(90, 92)), ("p", range(30))))
    images = list(read_rows([portraits], ["id", "image"]))
    write_shard(portraits, images, pa.schema([("id", pa.string()), ("image", IMAGE)]))
    return {
        "settings": DistillationConfig(teachers=["v2", "v3"], training=training),
        "unet_settings": UnetTrainConfig(**built, training=training),
        "teachers": [save_varied_unet(tmp_path / "v2.safetensors"), save_unet(tmp_path / "v3.safetensors")],
        "size": 64,
        "seed": 1,
        "train": [train, validation],
        "portraits": [portraits],
        "labelled": [train, validation],
    }


def test_soft_labels_are_the_teachers_mean_in_255ths(arguments):
    teachers = [load_model(Unet, path) for path in arguments["teachers"]]
    images = torch.rand(2, 3, 64, 64)
    soft = soft_labels(teachers, images)
    assert (soft.dtype, soft.shape) == (torch.uint8, (2, 7, 64, 64))
    single = [soft_labels([teacher], images).float() for teacher in teachers]
    assert (soft.float() - (single[0] + single[1]) / 2).abs().max() <= 1
    assert (single[0] - single[1]).abs().max() > 1
    flipped = soft_labels(teachers, images.flip(3)).flip(3)
    assert (flipped.float() - soft.float()).abs().max() <= 1


def test_the_loss_is_the_cross_entropy_and_least_for_the_soft_labels_themselves():
    torch.manual_seed(0)
    logits = torch.randn(2, 7, 4, 4)
    classes = torch.randint(7, (2, 4, 4))
    hard = F.one_hot(classes, 7).permute(0, 3, 1, 2).byte() * 255
    torch.testing.assert_close(soft_cross_entropy(logits, hard), F.cross_entropy(logits, classes))
    soft = (255 * logits.softmax(1)).round().byte()
    assert soft_cross_entropy(logits, soft) < soft_cross_entropy(logits + torch.randn_like(logits), soft)


def test_the_student_sees_soft_labels_mirrored_with_their_portraits(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(distill_unet_module, "STRONG_AUGMENT", lambda image: image)
    columns = torch.arange(8, dtype=torch.uint8).expand(16, 1, 8, 8)
    images, soft = student_view([columns.repeat(1, 3, 1, 1), columns])
    assert torch.equal((images[:, :1] * 255).round().byte(), soft)
    assert 4 < (soft[:, 0, 0, 0] == 7).sum() < 12


def test_the_student_learns_from_its_teachers_and_resumes_to_the_same_bytes(tmp_path, arguments):
    students = [
        {"model": tmp_path / name / "model.safetensors", "curves": tmp_path / f"{name}.csv"}
        for name in ("uninterrupted", "resumed")
    ]
    distill_unet(**arguments, **students[0])
    with sigterm_in_step(4):
        distill_unet(**arguments, **students[1])
    assert [*tmp_path.rglob("soft_labels.npy")]
    distill_unet(**arguments, **students[1])
    assert not [*tmp_path.rglob("soft_labels.npy")]
    for product in ("model", "curves"):
        assert students[0][product].read_bytes() == students[1][product].read_bytes()
    header, *lines = (line.split(",") for line in students[0]["curves"].read_text().splitlines())
    losses = [float(line[header.index("distillation")]) for line in lines]
    assert losses[-1] < losses[0] - 0.02


def test_the_student_learns_from_all_shards_of_labelled_portraits(tmp_path, arguments):
    weights = []
    for shards in arguments["train"], arguments["train"][:1]:
        model = tmp_path / f"{len(shards)}/model.safetensors"
        distill_unet(**arguments | {"train": shards}, model=model, curves=tmp_path / "curves.csv")
        weights.append(load_model(Unet, model).head.weight)
    assert not torch.equal(*weights)


def test_rows_are_as_many_as_the_student_sees_at_most(arguments):
    rows = unlabelled_rows(arguments["portraits"], arguments["labelled"], "distillation")
    assert len(rows) == 26 and len(most_of(rows, 100)) == 26
    assert most_of(rows, 10).ids == rows.ids[:10]


def test_unusable_inputs_are_one_line(tmp_path, arguments):
    outputs = {"model": tmp_path / "model.safetensors", "curves": tmp_path / "curves.csv"}
    with pytest.raises(UserError, match="distillation: every portrait is labelled"):
        distill_unet(**arguments | {"labelled": arguments["portraits"]}, **outputs)
    with pytest.raises(UserError, match="has the classes around, head, hat; accepted: background, skin"):
        distill_unet(**arguments | {"teachers": [save_unet(tmp_path / "three.safetensors", THREE)]}, **outputs)
