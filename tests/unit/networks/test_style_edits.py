"""Changed feature maps: how far they reach, and locked regions, to the bit."""

import pytest
import torch

from facemill.networks.style_edits import Lock, Stage, reach, shrunk, stages, synthesize
from facemill.networks.stylegan2 import StyleGenerator

RATIOS = [(1, 32), (2, 64)]
LAYERS = range(7)
PRECISIONS = [torch.float32, torch.bfloat16]


def made(ratio: int, height: int) -> StyleGenerator:
    torch.manual_seed(0)
    kwargs = {"channels": [12, 10, 8, 6], "z_dim": 5, "w_dim": 7, "mapping": 2}
    return StyleGenerator(height=height, ratio=ratio, **kwargs).eval().to(memory_format=torch.channels_last)


@pytest.fixture(params=RATIOS, ids=str)
def generator(request) -> StyleGenerator:
    return made(*request.param)


@pytest.fixture(params=PRECISIONS, ids=str)
def precision(request):
    """The context in which a test runs."""
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=request.param is torch.bfloat16):
        yield request.param


def random_styles(generator: StyleGenerator, count: int) -> torch.Tensor:
    return generator.map(torch.randn(count, 5, generator=torch.Generator().manual_seed(1)))


def test_without_changes_the_images_are_those_of_the_generator(generator, precision):
    for styles in (random_styles(generator, 3), torch.randn(2, generator.layers, 7)):
        assert torch.equal(synthesize(generator, styles), generator.synthesize(styles))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_change_at_a_position_reaches_what_is_computed_and_all_of_it(generator, layer, precision):
    styles = random_styles(generator, 2)
    height, width = generator.sides()[layer]
    change = torch.zeros(2, generator.levels[(layer + 1) // 2].convs[0].weight.shape[0], height, width)
    change[0, :, height // 2, width // 2] = 50
    change[1, :, 0, width - 1] = 50  # at the edge
    before, after = synthesize(generator, styles), synthesize(generator, styles, {layer: change})
    changed = (before != after).any(1, keepdim=True)
    reached = reach(generator, layer, change.abs().sum(1, keepdim=True))
    assert not (changed & ~reached).any()
    assert torch.equal(changed, reached) or precision is torch.bfloat16


@pytest.mark.parametrize(("layer", "side"), [(2, 22), (3, 12), (4, 8), (5, 3), (6, 1)])
def test_the_reach_of_a_position_in_pixels(layer, side):
    generator = made(1, 32)
    height, width = generator.sides()[layer]
    region = torch.zeros(1, 1, height, width)
    region[..., height // 2, width // 2] = 1
    reached = reach(generator, layer, region)[0, 0]
    assert (int(reached.any(1).sum()), int(reached.any(0).sum()), int(reached.sum())) == (side, side, side**2)


@pytest.mark.parametrize("first", [0, 1, 4])
def test_outside_a_locked_region_every_pixel_keeps_its_bits(generator, precision, first):
    before, after = random_styles(generator, 4).chunk(2)
    region = torch.zeros(2, 1, generator.height, generator.width)
    region[0, :, 5:9, 3:8] = 1
    region[1, :, -4:, :2] = 1
    original = generator.synthesize(before)
    change = torch.ones(2, 6, *generator.sides()[5])
    for changes in (None, {5: change}):
        locked = synthesize(generator, after, changes, Lock(before, region, first))
        outside = (region == 0).expand_as(original)
        assert torch.equal(locked[outside], original[outside])
        assert (locked != original)[~outside].float().mean() > 0.9
    nothing = synthesize(generator, after, None, Lock(before, torch.zeros_like(region), first))
    assert torch.equal(nothing, original)


def test_a_region_of_everything_locks_only_the_layers_below_the_first(generator):
    with torch.inference_mode():
        before, after = random_styles(generator, 2).chunk(2)
        everything = torch.ones(1, 1, generator.height, generator.width)
        locked = synthesize(generator, after, None, Lock(before, everything, 3))
        mixed = torch.where(torch.arange(generator.layers)[:, None] < 3, before, after)[None]
        torch.testing.assert_close(locked, generator.synthesize(mixed), atol=1e-6, rtol=0)


def test_features_alone_do_not_lock(generator):
    """Each level's RGB reads the style: with the maps of the portrait as it is, its colors still change."""
    with torch.inference_mode():
        before, after = random_styles(generator, 2).chunk(2)
        *_, kept = stages(generator, before)
        level = generator.levels[-1]
        rgb = [level.to_rgb(kept.maps, styles) for styles in (before, after)]
        assert (rgb[0] - rgb[1]).abs().mean() > 0.01


@pytest.mark.parametrize("layer", LAYERS)
def test_from_any_layer_on_the_rest_is_the_same(generator, layer):
    with torch.inference_mode():
        styles = random_styles(generator, 2)
        before = list(stages(generator, styles))
        start = (layer, before[layer - 1]) if layer else None
        *_, last = stages(generator, styles, start=start)
        assert isinstance(last, Stage) and torch.equal(last.image, generator.synthesize(styles))


def test_a_region_is_shrunk_to_shares():
    region = torch.zeros(1, 1, 8, 4)
    region[..., :3, :2] = 1
    assert shrunk(region, 4)[0, 0].tolist() == [[1, 0], [0.5, 0], [0, 0], [0, 0]]
