"""Differentiable augmentation: the same for real and generated portraits, and for their masks."""

import pytest
import torch

from facemill.networks.diff_augment import DiffAugment


def test_images_are_augmented_alike_and_masks_move_with_them():
    torch.manual_seed(0)
    augment = DiffAugment(16, 64, 32, torch.device("cpu"))
    masks = torch.zeros(16, 2, 64, 32)
    masks[:, 0, 20:30, 10:20] = 1  # a box, which is the only bright part of the image
    images = masks[:, :1].repeat(1, 3, 1, 1)
    augmented, moved = augment(images, masks)
    assert torch.equal(augment(images, masks)[0], augmented)
    darkest = augmented.flatten(1).amin(1)
    for image, mask, cutout in zip(augmented, moved[:, 0].bool(), augment.cutout[:, 0].bool(), strict=True):
        assert torch.equal(mask, mask & cutout)
        if mask.any():
            assert image[0][mask].unique().numel() == 1
            background = image[0][cutout & ~mask]
            assert image[0][mask][0] > background.max()
    assert len(darkest.unique()) > 8  # each image has its own parameters
    corners = {tuple(torch.nonzero(mask)[0].tolist()) for mask in moved[:, 0] if mask.sum() == 100}
    assert len(corners) > 3 and all(abs(y - 20) <= 8 and abs(x - 10) <= 4 for y, x in corners)


def test_a_quarter_is_cut_out_of_most_and_gradients_pass_through():
    torch.manual_seed(1)
    augment = DiffAugment(200, 32, 32, torch.device("cpu"))
    shares = 1 - augment.cutout.mean((1, 2, 3))
    assert shares.max() == 0.25 and 0.1 < shares.mean() < 0.2  # boxes hang over the edges
    images = torch.rand(200, 3, 32, 32, requires_grad=True)
    augment(images, torch.zeros(200, 7, 32, 32))[0].sum().backward()
    assert images.grad.abs().sum() > 0


@pytest.mark.parametrize("words", [[], ["color"], ["translation"], ["cutout"], ["translation", "cutout"]])
def test_each_word_does_its_own(words):
    """Color moves what is gray, translation brings black edges or none, cutout black boxes."""
    torch.manual_seed(2)
    augment = DiffAugment(32, 16, 16, torch.device("cpu"), words)
    images = torch.full((32, 3, 16, 16), 0.5)
    changed = augment.images(images)
    assert torch.equal(changed, images) == (not words)
    values = set(changed.unique().tolist())
    assert (values <= {0.0, 0.5}) == ("color" not in words)
    if words == ["translation"]:
        row, column = (changed.amax(axes) for axes in ((1, 3), (1, 2)))
        assert torch.equal(changed, (row[:, None, :, None] * column[:, None, None, :] * 2).expand_as(changed))
        assert (changed == 0).any((1, 2, 3)).sum() > 16 and (row[:, 2:-2] == 0.5).all()  # by an eighth at most
    if words == ["cutout"]:
        assert torch.equal(changed, images * augment.cutout) and (changed == 0).float().mean() > 0.1
