"""The ways to an attribute: what goes through GauGAN, in each of its kinds of styles."""

import numpy as np
import pytest
import torch
from helpers.scenes import save_varied_unet

from facemill.data.classes import SEVEN
from facemill.inference.painter import Painter
from facemill.inference.sampler import Sampler
from facemill.networks.region_styles import CODE
from facemill.networks.spade import Generator
from facemill.networks.store import save_model
from facemill.networks.vae import Vae
from facemill.stylegan.edit_rows import Generated
from facemill.stylegan.edit_ways import Case, Ways
from facemill.stylegan.edits import LocalEdit

HAIR = SEVEN.names.index("hair")


@pytest.fixture
def load_ways(save_generator, tmp_path):
    """A function that loads a StyleGAN and a GauGAN of 64 px with a kind of styles, and what reads these."""

    def load(z: str) -> Ways:
        torch.manual_seed(0)
        z_dim = {"regions": 7 * CODE, "encoder": 8, "none": 0}[z]
        arguments = {"size": 64, "z": z, "z_dim": z_dim, "ngf": 4, "nhidden": 4, "classes": 7}
        gaugan, reader = tmp_path / "gaugan/model.safetensors", tmp_path / "gaugan/style_encoder.safetensors"
        save_model(gaugan, Generator(**arguments), arguments, {}, SEVEN)
        if z == "encoder":
            of_vae = {"size": 32, "z_dim": 8, "width": 4}
            save_model(reader, Vae(**of_vae), of_vae, {})
        else:
            save_varied_unet(reader)
        return Ways.load(Sampler.load(save_generator()), gaugan, reader)

    return load


@pytest.fixture
def portraits() -> Generated:
    """Two portraits of 32 px, with hair above."""
    masks = np.zeros((2, 32, 32), np.uint8)
    masks[:, :12] = HAIR
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    return Generated(["a", "b"], torch.randn(2, 8), images, masks)


def case_of(portraits: Generated) -> Case:
    return Case("x", "hair", portraits, portraits.masks == HAIR, LocalEdit(4, torch.ones(8)))


def test_codes_by_region_are_colors_under_the_portraits_own_masks(load_ways, portraits):
    codes = load_ways("regions").codes(portraits)
    hair = torch.from_numpy(portraits.images[:, :12]).float().mean((1, 2)) / 127.5 - 1
    torch.testing.assert_close(codes.unflatten(1, (7, CODE))[:, HAIR], hair, atol=0.05, rtol=0)


def test_of_codes_by_region_only_those_of_the_part_move(load_ways, portraits):
    ways = load_ways("regions")
    vector = torch.arange(1.0, 7 * CODE + 1)
    moved = ways.of_part(vector, "hair")
    numbers = ways.gaugan.numbers_of("hair")
    assert torch.equal(moved[numbers], vector[numbers]) and int((moved != 0).sum()) == CODE
    case = case_of(portraits)
    ways.edit(case, None, torch.where(moved != 0, 0, vector))
    before, after = case.edited["gaugan"]
    assert np.array_equal(before, after), "what is of other classes is left as it is"
    ways.edit(case, None, vector)
    assert (case.edited["gaugan"].after != before).any()


def test_codes_of_an_encoder_move_as_a_whole(load_ways, portraits):
    ways = load_ways("encoder")
    vector = torch.arange(1.0, 9)
    assert torch.equal(ways.of_part(vector, "hair"), vector)
    assert ways.codes(portraits).shape == (2, 8)
    case = case_of(portraits)
    ways.edit(case, torch.ones(8), vector)
    before, after = case.edited["gaugan"]
    assert before.shape == (2, 64, 64, 3) and (before != after).any()


def test_without_styles_that_are_read_there_is_no_way_through_gaugan(load_ways, portraits):
    ways = load_ways("none")
    assert ways.gaugan is None and ways.codes(portraits) is None
    case = case_of(portraits)
    ways.edit(case, torch.ones(8), None)
    assert case.edited.keys() == {"direction", "locked", "local"}
    assert isinstance(load_ways("encoder").gaugan, Painter)
