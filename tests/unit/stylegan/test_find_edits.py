"""The search for local edits: a map that makes a region red is found by difference and by effect."""

import json

import numpy as np
import pytest
import torch

from facemill.data.classes import SEVEN
from facemill.inference.sampler import Sampler
from facemill.stylegan import find_edits as module
from facemill.stylegan.edit_rows import Generated
from facemill.stylegan.edits import EditRegion, map_deviations, paint_edited
from facemill.stylegan.find_edits import Search, divided, outside_share, strongest
from facemill.stylegan.region_probes import RegionProbe

MOUTH = SEVEN.names.index("mouth")
LAYER, CHANNEL = 6, 3
COUNT = 160


@pytest.fixture
def sampler(save_generator) -> Sampler:
    """A generator of 32 px whose red is, nearly all, one map of its last layer, and which paints nothing else."""
    sampler = Sampler.load(save_generator())
    for level in sampler.generator.levels:
        torch.nn.init.zeros_(level.to_rgb.weight)
    to_rgb = sampler.generator.levels[-1].to_rgb
    with torch.no_grad():
        to_rgb.weight[0] = 0.05 * torch.randn(8, 1, 1)
        to_rgb.weight[0, CHANNEL] = 3
        to_rgb.bias.fill_(-0.5)
    return sampler


@pytest.fixture
def samples(sampler) -> Generated:
    """Portraits with a mouth in various places."""
    styles = sampler.truncated(range(COUNT), 1).cpu()
    masks = np.zeros((COUNT, 32, 32), np.uint8)
    for index, mask in enumerate(masks):
        mask[16 + index % 6 : 20 + index % 6, 10 + index % 4 : 18 + index % 4] = MOUTH
    return Generated([str(i) for i in range(COUNT)], styles, paint_edited(sampler, styles), masks)


@pytest.fixture
def probe(samples) -> RegionProbe:
    """Tells whether the mouth is redder than that of most portraits."""
    red = np.array([image[mask == MOUTH, 0].mean() for image, mask in zip(samples.images, samples.masks, strict=True)])
    found = RegionProbe.fit("red", [MOUTH], samples.images, samples.masks, red > np.quantile(red, 0.6), 10)
    assert found and found.accuracy(samples.images, samples.masks, red > np.quantile(red, 0.6)) > 0.9
    return found


@pytest.fixture
def search(sampler, samples, probe) -> Search:
    region = EditRegion.model_validate({"class": "mouth", "grow": 1})
    return Search(sampler, probe, samples, region, SEVEN, map_deviations(sampler))


def test_the_map_is_found_by_difference(search):
    difference = search.differences()[LAYER]
    assert list(strongest(difference, np.abs(difference), 1)) == [CHANNEL] and difference[CHANNEL] > 0.3


def test_the_map_is_found_by_effect(search):
    found = search.by_effect(LAYER, np.zeros(8), 2)
    assert next(iter(found)) == CHANNEL and found[CHANNEL] > 0
    effects, outside = search.effects(LAYER, np.arange(8))
    assert np.abs(effects).argmax() == CHANNEL
    assert outside.max() == 0, "the last layer reaches no farther than the region"


def test_the_best_edit_succeeds_inside_the_region(search, monkeypatch):
    assert {search.best(4).layer} <= {1, 2, 3, 4}, "finer maps are left alone"
    search.finest = 1
    best = search.best(4)
    assert best.success > 0.7 and best.outside < 0.2 and len(best.values) <= 4
    assert best.layer >= 1 and best.way in ("difference", "effect")
    monkeypatch.setattr(module, "NEARLY", 1)
    strongest_one = search.best(4)
    assert strongest_one.worth >= best.worth >= 0.9 * strongest_one.worth and strongest_one.change >= best.change


def test_without_portraits_that_have_the_part_nothing_is_found(search, samples, sampler, probe):
    few = samples.take([0])
    assert Search(sampler, probe, few, search.region, SEVEN, search.deviations).best(4) == module.NOTHING


def test_portraits_that_show_most_and_least_stand_for_too_few(samples, probe):
    has, lacks = divided(samples, probe)
    p = probe.probabilities(*samples.seen())
    assert len(has) + len(lacks) == COUNT and len(has) == (p > 0.5).sum()
    assert (np.diff(probe.probabilities(*has.seen())) <= 1e-6).all()
    few = samples.take(np.argsort(p)[:50])  # none of them shows it
    has, lacks = divided(few, probe)
    assert len(has) == 20 and len(lacks) == 30
    assert probe.probabilities(*has.seen()).min() >= probe.probabilities(*lacks.seen()).max()
    without = Generated(samples.ids, samples.styles, samples.images, np.zeros_like(samples.masks))
    assert [len(side) for side in divided(without, probe)] == [0, 0]


def test_the_share_outside_is_of_squared_change():
    before, after = np.zeros((1, 4, 4, 3), np.uint8), np.zeros((1, 4, 4, 3), np.uint8)
    regions = np.zeros((1, 4, 4), bool)
    regions[0, :2] = True
    assert outside_share(before, after, regions) == 0
    after[0, 0, 0], after[0, 3, 3, 0] = 30, 30
    assert outside_share(before, after, regions) == pytest.approx(0.25)


def test_a_probe_sees_the_part_wherever_it_lies_and_nothing_without_it():
    random = np.random.default_rng(0)
    images = random.integers(0, 80, (120, 64, 64, 3)).astype(np.uint8)
    masks, is_open = np.zeros((120, 64, 64), np.uint8), np.arange(120) % 2 == 0
    for image, mask, opened in zip(images, masks, is_open, strict=True):
        y, x = random.integers(20, 40, 2)
        mask[y : y + 6, x : x + 10] = MOUTH
        image[y + (0 if opened else 2) : y + (6 if opened else 4), x : x + 10] = 200
    masks[7] = 0
    half = slice(0, 60), slice(60, None)
    fitted, judged = ((images[part], masks[part], is_open[part]) for part in half)
    probe = RegionProbe.fit("open_mouth", [MOUTH], *fitted, 10)
    assert probe and probe.accuracy(*judged) > 0.95
    p = probe.probabilities(images[:10], masks[:10])
    assert np.isnan(p[7]) and not np.isnan(np.delete(p, 7)).any()
    assert RegionProbe.fit("open_mouth", [MOUTH], *fitted, 31) is None
    assert json.dumps(probe.accuracy(*(array[:1] for array in judged))) == "null"
