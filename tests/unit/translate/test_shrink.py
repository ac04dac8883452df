"""Portraits at a smaller height: the mean of pixels, and a size that does not divide theirs is refused."""

import pytest
import torch
from helpers.translate import write_portraits

from facemill.errors import UserError
from facemill.networks.resnet_generator import ResnetGenerator
from facemill.networks.store import save_model
from facemill.translate.shrink import averaged, shrunk
from facemill.translate.translate_portraits import translate_portraits


def test_pixels_are_averaged_and_halves_rounded_to_even():
    pixels = torch.tensor([[0, 0, 1, 1], [1, 1, 2, 2]], dtype=torch.uint8).expand(1, 3, 2, 4)
    assert shrunk(pixels, 1, "a").tolist() == [[[[0, 2]]] * 3]
    assert averaged(pixels.repeat(1, 1, 3, 1), 4, 4).shape == (1, 3, 4, 4), "no multiple"


@pytest.mark.parametrize("height", [96, 256])
def test_portraits_that_cannot_be_shrunk_are_named(tmp_path, height):
    shard = write_portraits(tmp_path / "a.parquet", 20, 3, 128, 128)
    arguments = {"width": 4, "blocks": 1}
    save_model(tmp_path / "a2b.safetensors", ResnetGenerator(**arguments), arguments, {"size": height})
    with pytest.raises(UserError, match=f"a.parquet: portraits of 128 pixels; accepted: a multiple of {height}"):
        translate_portraits(model=tmp_path / "a2b.safetensors", portraits=shard, translated=tmp_path / "t.parquet")
