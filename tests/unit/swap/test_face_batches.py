"""Faces in memory, and batches: weights by parts of the face, augmentation, order."""

from collections.abc import Iterator
from itertools import chain, islice

import numpy as np
import pytest
import torch
from helpers.swap_faces import SIDE, draw_face, make_face, some_faces

from facemill.data.classes import IGNORE
from facemill.swap import face_batches as module
from facemill.swap import warp
from facemill.swap.face_batches import augment, face_batches, stack_faces


def test_a_face_is_shrunk_by_averaging_with_its_share_and_weights():
    (stacked,) = stack_faces([make_face("a", 1, 0.5)], SIDE // 2)
    image, mask = draw_face("a", 0.5)
    means = image.reshape(SIDE // 2, 2, SIDE // 2, 2, 3).mean((1, 3)).transpose(2, 0, 1)
    assert stacked.dtype == torch.uint8 and stacked.shape == (5, SIDE // 2, SIDE // 2)
    assert np.abs(stacked[:3].numpy() - means).max() <= 0.5
    share = np.isin(mask, [2, 3, 4]).reshape(SIDE // 2, 2, SIDE // 2, 2).mean((1, 3))
    assert np.abs(stacked[3].numpy() / 255 - share).max() <= 0.01
    weights = np.select([mask == 3, mask == 4, mask == 2], [3.0, 2.0, 1.0], 0.1)
    weights = weights.reshape(SIDE // 2, 2, SIDE // 2, 2).mean((1, 3))
    assert np.abs(stacked[4].numpy() / 85 - weights).max() <= 0.01


def test_what_lies_beyond_the_frame_has_no_weight():
    mask = make_face("a", 1, 0.5).mask.copy()
    mask[:, :8] = IGNORE
    (stacked,) = stack_faces([make_face("a", 1, 0.5, mask=mask)], SIDE // 2)
    assert not stacked[3:, :, :4].any() and stacked[4, :, 4:].all()


def test_a_face_of_the_network_s_size_stays_as_it_is():
    face = make_face("b", 1, 0.5)
    assert np.array_equal(stack_faces([face], SIDE)[0, :3].permute(1, 2, 0).numpy(), face.image)


def test_targets_masks_and_weights_move_together_and_the_inputs_alone_are_warped_and_colored(monkeypatch):
    faces = stack_faces(some_faces("a", 16), SIDE)
    torch.manual_seed(0)
    batch = augment(faces)
    assert batch.inputs.shape == batch.targets.shape == (16, 3, SIDE // 2, SIDE // 2)
    assert batch.inputs.is_contiguous(memory_format=torch.channels_last)
    assert (batch.inputs - batch.targets).abs().mean((1, 2, 3)).min() > 0.005
    inside = (batch.weights > 0.15) & (batch.weights < 2.95)
    assert ((batch.masks > 0.5) == (batch.weights > 0.55))[inside].float().mean() > 0.99
    for name in ("WARP", "LIGHTNESS", "CHROMA"):
        monkeypatch.setattr(warp, name, 0.0)
    torch.manual_seed(0)
    still = augment(faces)
    assert torch.allclose(still.inputs, still.targets, atol=1e-3)
    assert torch.equal(still.targets, batch.targets) and torch.equal(still.masks, batch.masks)


def test_an_augmentation_of_nothing_is_the_identity(monkeypatch):
    for name in ("TURN", "ZOOM", "SHIFT", "WARP", "LIGHTNESS", "CHROMA"):
        monkeypatch.setattr(warp, name, 0.0)
    some = some_faces("b", 16)
    batch, faces = augment(stack_faces(some, SIDE)), stack_faces(some, SIDE // 2)
    straight, mirrored = (
        ((batch.targets - f[:, :3] / 255).abs().amax((1, 2, 3)) < 3e-3) for f in (faces, faces.flip(3))
    )
    assert (straight | mirrored).all() and straight.any() and mirrored.any()


@pytest.fixture
def drawn(monkeypatch) -> None:
    """Batches that are the faces' numbers, not augmented."""
    monkeypatch.setattr(module, "augment", lambda faces: faces[:, 0, 0, 0].tolist())


def numbered(count: int, first: int) -> torch.Tensor:
    return torch.arange(first, first + count, dtype=torch.uint8)[:, None, None, None].expand(-1, 5, 2, 2)


def take(sides: list[torch.Tensor], count: int, first_step: int = 0, batch: int = 4) -> list[list[int]]:
    batches: Iterator = face_batches(sides, batch, 1, first_step)
    return list(islice(batches, count))


def test_each_batch_has_as_many_faces_of_a_as_of_b_and_all_have_their_turn(drawn):
    batches = take([numbered(8, 0), numbered(12, 100)], 6)
    assert all(max(batch[:4]) < 100 <= min(batch[4:]) for batch in batches)
    assert sorted(chain(*(batch[:4] for batch in batches[:2]))) == list(range(8))
    assert sorted(chain(*(batch[4:] for batch in batches[:3]))) == list(range(100, 112))


def test_batches_follow_from_the_step(drawn):
    sides = [numbered(7, 0), numbered(12, 100)]
    assert take(sides, 9)[5:] == take(sides, 4, first_step=5)


def test_one_face_fills_a_batch(drawn):
    assert take([numbered(1, 0), numbered(2, 100)], 1)[0][:4] == [0] * 4
