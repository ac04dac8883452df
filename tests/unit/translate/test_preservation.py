"""Losses of what translations keep: the masks that a U-Net sees, the colors of regions."""

import torch
from torch import nn

from facemill.data.classes import IGNORE, ROLES, SEVEN
from facemill.translate.domains import role_members, role_table
from facemill.translate.preservation import PreservationLosses, resized


class Eye(nn.Module):
    """Stands in for a U-Net of portraits of 16 x `width` px that sees a face where it is bright, else background."""

    size = 16

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.width, self.gain = width, nn.Parameter(torch.tensor(50.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert images.shape[2:] == (16, self.width) and images.min() >= 0
        logits = torch.full((len(images), len(SEVEN), 16, self.width), -100.0)
        logits[:, SEVEN.role_ids("face")[0]] = self.gain * (images.mean(1) - 0.5)
        logits[:, 0] = 0
        return logits


def halves(upper: str, lower: str, side: int = 32) -> torch.Tensor:
    roles = torch.full((1, side, side), ROLES.index(lower), dtype=torch.uint8)
    roles[:, : side // 2] = ROLES.index(upper)
    return roles


def picture(upper: float, lower: float) -> torch.Tensor:
    image = torch.full((1, 3, 8, 8), float(lower))
    image[:, :, :4] = upper
    return image


def test_masks_are_compared_at_the_size_of_the_unet():
    preservation = PreservationLosses(Eye(), SEVEN, with_colors=False)
    same = preservation.losses(picture(0, 0), picture(1, -1), halves("face", "background"))
    other = preservation.losses(picture(0, 0), picture(-1, 1), halves("face", "background"))
    assert set(same) == {"mask"} and same["mask"] < 1.5 < 5 < other["mask"]
    unknown = torch.full((1, 32, 32), IGNORE, dtype=torch.uint8)
    assert preservation.losses(picture(0, 0), picture(1, -1), unknown)["mask"] == 0


def test_a_unet_sees_tall_translations_at_its_own_height():
    preservation = PreservationLosses(Eye(width=8), SEVEN, with_colors=False)
    roles = halves("face", "background")[..., ::2]
    loss = preservation.losses(picture(0, 0)[..., ::2], picture(1, -1)[..., ::2], roles)["mask"]
    assert loss < 1.5


def test_the_gradient_reaches_the_translation_and_not_the_unet():
    unet, translated = Eye(), picture(-0.1, 0.1).requires_grad_()
    PreservationLosses(unet, SEVEN, with_colors=False).losses(picture(0, 0), translated, halves("face", "background"))[
        "mask"
    ].backward()
    assert translated.grad[:, :, 0].mean() < 0 < translated.grad[:, :, -1].mean() and unet.gain.grad is None


def test_colors_of_hair_and_face_stay():
    preservation = PreservationLosses(None, None, with_colors=True)
    roles = halves("hair", "background")
    assert preservation.losses(picture(0, 0), picture(0, 1), roles)["color"] == 0
    assert preservation.losses(picture(0, 0), picture(1, 0), roles)["color"] > 0.1


def test_roles_of_classes():
    table, members = role_table(SEVEN), role_members(SEVEN)
    for index, entry in enumerate(SEVEN.root):
        assert ROLES[table[index]] == entry.role and members[int(table[index]), index]
    assert table[IGNORE] == IGNORE and members.sum() == len(SEVEN)


def test_images_are_enlarged_and_averaged():
    assert resized(picture(1, -1), 16, 16).shape == (1, 3, 16, 16)
    assert torch.equal(resized(picture(1, -1), 8, 8), picture(1, -1))
    assert resized(picture(1, -1), 2, 2)[0, 0, 0, 0] > 0.5
