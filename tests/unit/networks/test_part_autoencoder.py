"""The autoencoder of parts of faces, as published and mended."""

import pytest
import torch

from facemill.networks.part_autoencoder import CODE, SIZE, PartAutoencoder


@pytest.fixture(params=["original", "fixed"])
def network(request) -> PartAutoencoder:
    torch.manual_seed(0)
    return PartAutoencoder(kind=request.param)


def test_the_layers_are_those_of_the_article(network):
    assert sum(weight.numel() for weight in network.parameters()) == 2_346_507
    sides, pictures = [], torch.rand(1, 3, SIZE, SIZE)
    for layers in (network.features, network.code, network.decoder):
        for layer in layers:
            pictures = layer(pictures)
            if "Conv" in type(layer).__name__:
                sides.append(tuple(pictures.shape[1:]))
    encoder = [(16, 153, 153), (64, 77, 77), (128, 26, 26), (256, 8, 8)]
    assert sides == [*encoder, (128, 26, 26), (64, 77, 77), (16, 153, 153), (3, SIZE, SIZE)]


def test_a_picture_is_reconstructed_from_its_code_alone(network):
    pictures = torch.rand(2, 3, SIZE, SIZE)
    with torch.no_grad():
        codes = network.encode(pictures)
        assert codes.shape == (2, CODE)
        assert torch.equal(network(pictures), network.decode(codes))


def test_codes_of_the_original_are_never_negative_and_those_of_the_fixed_one_are(network):
    with torch.no_grad():
        lowest = network.encode(torch.rand(4, 3, SIZE, SIZE)).min()
        pixels = network.decode(torch.full((1, CODE), -100.0))
    assert (lowest >= 0) == (network.kind == "original")
    assert ((pixels >= 0) & (pixels <= 1)).all() == (network.kind == "fixed")


def test_a_code_that_is_negative_for_every_picture_learns_in_the_fixed_one_alone(network):
    linear = network.code[0]
    with torch.no_grad():
        linear.bias[3] = -100
    network(torch.rand(2, 3, SIZE, SIZE)).square().mean().backward()
    assert bool(linear.weight.grad[3].any()) == (network.kind == "fixed")


def test_codes_are_precise_under_autocast(network):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        codes = network.encode(torch.rand(2, 3, SIZE, SIZE))
    assert codes.dtype == torch.float32
    assert not torch.equal(codes, codes.bfloat16().float())
