"""Self-training: pseudo-targets, augmentation, and what the student learns from unlabelled portraits."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers.scenes import THREE, save_unet
from helpers.training import sigterm_in_step
from torch import nn

from facemill.config.fields import TrainingConfig
from facemill.config.segment import SelfTrainingConfig, UnetTrainConfig
from facemill.data.classes import IGNORE
from facemill.data.shards import IMAGE, read_rows, write_shard
from facemill.errors import UserError
from facemill.segment.self_train_unet import (
    BOX,
    consistency_loss,
    cut_mix,
    pseudo_targets,
    self_train_unet,
    unlabelled_rows,
    weak_augment,
)
from facemill.segment.train_unet import train_unet


def test_only_confident_pixels_are_targets():
    class Teacher(nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.scale = scale

        def forward(self, images):
            return torch.cat([images * self.scale, 0 * images[:, :1].repeat(1, 4, 1, 1)], 1)

    images = torch.zeros(1, 3, 4, 4)
    images[0, 1, :2] = 1  # class 1 with a high probability; elsewhere all seven have the same
    ignored, class_1 = [[IGNORE] * 4] * 4, [[1] * 4] * 2 + [[IGNORE] * 4] * 2
    assert pseudo_targets([(Teacher(10), 1)], images, 0.9)[0].tolist() == class_1
    assert pseudo_targets([(Teacher(10), 1), (Teacher(0), 0.1)], images, 0.9)[0].tolist() == class_1
    assert pseudo_targets([(Teacher(10), 1), (Teacher(0), 1)], images, 0.9)[0].tolist() == ignored


def test_the_consistency_loss_weighs_by_the_mask_ratio_and_bears_a_batch_without_targets():
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    targets = torch.full((2, 4, 4), IGNORE)
    loss, mask_ratio = consistency_loss(logits, targets)
    assert (loss.item(), mask_ratio.item()) == (0, 0)
    loss.backward()
    assert (logits.grad == 0).all()
    targets[0] = 1
    loss, mask_ratio = consistency_loss(logits, targets)
    assert mask_ratio == 0.5 and loss > 0


def test_cut_mix_replaces_the_same_box_of_image_and_target():
    torch.manual_seed(0)
    targets = torch.arange(6)[:, None, None].expand(6, 32, 32).contiguous()
    images = targets[:, None].float().repeat(1, 3, 1, 1)
    mixed, mixed_targets = cut_mix(images, targets)
    assert torch.equal(mixed[:, 0].long(), mixed_targets)
    for i, target in enumerate(mixed_targets):
        assert set(target.unique().tolist()) == {i, (i - 1) % 6}
        share = (target != i).float().mean()
        assert BOX[0] - 0.03 < share < BOX[1] + 0.03
        ys, xs = torch.nonzero(target != i, as_tuple=True)
        assert (ys.max() - ys.min() + 1) * (xs.max() - xs.min() + 1) == len(ys)  # a box


def test_weak_augmentation_flips_about_half_of_the_images():
    torch.manual_seed(0)
    images = torch.rand(16, 3, 4, 4)
    flipped = [bool((weak == image.flip(2)).all()) for weak, image in zip(weak_augment(images), images, strict=True)]
    assert 4 < sum(flipped) < 12


@pytest.fixture
def arguments(tmp_path, monkeypatch, pairs) -> dict:
    """The arguments of a self-training but teacher, model and curves; the teacher is a short-trained U-Net."""
    monkeypatch.chdir(tmp_path)
    unet_settings = UnetTrainConfig(
        encoder_weights=None,
        width="tiny",
        class_weights={},
        patience=10,
        decoder="upsample",
        downscale=1,
        training=TrainingConfig(images=240, batch=4, learning_rate=3e-3),
    )
    train, validation, portraits = (pairs(n, r) for n, r in (("t", range(4)), ("v", range(90, 92)), ("p", range(40))))
    images = list(read_rows([portraits], ["id", "image"]))
    write_shard(portraits, images, pa.schema([("id", pa.string()), ("image", IMAGE)]))
    return {
        "settings": SelfTrainingConfig(confidence=0.4, training=TrainingConfig(images=40, batch=4, learning_rate=1e-3)),
        "unet_settings": unet_settings,
        "size": 64,
        "seed": 1,
        "train": train,
        "validation": validation,
        "portraits": [portraits],
        "labelled": [train, validation],
    }


def test_the_student_learns_from_unlabelled_portraits_and_resumes_to_the_same_bytes(tmp_path, arguments):
    teacher = tmp_path / "v3/model.safetensors"
    shared = {key: arguments[key] for key in ("size", "seed", "train", "validation")}
    train_unet(version="v3", settings=arguments["unet_settings"], model=teacher, curves=tmp_path / "v3.csv", **shared)
    students = [
        {"teacher": teacher, "model": tmp_path / name / "model.safetensors", "curves": tmp_path / f"{name}.csv"}
        for name in ("uninterrupted", "resumed")
    ]
    self_train_unet(**arguments, **students[0])
    with sigterm_in_step(4):
        self_train_unet(**arguments, **students[1])
    self_train_unet(**arguments, **students[1])
    for product in ("model", "curves"):
        assert students[0][product].read_bytes() == students[1][product].read_bytes()
    assert students[0]["model"].read_bytes() != teacher.read_bytes()
    header, *lines = students[0]["curves"].read_text().splitlines()
    mask_ratios = [float(line.split(",")[header.split(",").index("mask_ratio")]) for line in lines]
    assert 0 < np.mean(mask_ratios) <= 1


def test_portraits_of_labelled_images_are_left_out(tmp_path):
    schema = pa.schema([("id", pa.string()), ("image", IMAGE)])
    for name, ids in (("portraits", ["1", "1#2", "2", "2#2", "3"]), ("labelled", ["1", "2#2"])):
        write_shard(tmp_path / name, [{"id": row_id, "image": None} for row_id in ids], schema)
    assert unlabelled_rows([tmp_path / "portraits"], [tmp_path / "labelled"], "self_training").ids == ["3"]


def test_unusable_inputs_are_one_line(tmp_path, arguments):
    outputs = {"model": tmp_path / "model.safetensors", "curves": tmp_path / "curves.csv"}
    everything = {"labelled": arguments["labelled"] + arguments["portraits"]}
    with pytest.raises(UserError, match="self_training: every portrait is labelled"):
        self_train_unet(**arguments | everything, teacher=save_unet(tmp_path / "seven.safetensors"), **outputs)
    with pytest.raises(UserError, match="has the classes around, head, hat; accepted: background, skin"):
        self_train_unet(**arguments, teacher=save_unet(tmp_path / "three.safetensors", THREE), **outputs)
