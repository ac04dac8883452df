"""The studio's portraits: a state alone decides them, and styles, sliders and classes are the model's."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers.running import ROOT
from helpers.studio_models import HAIR, Z_DIM, code_of, draw_mask, make_generator, write_results
from PIL import Image

from facemill.data.classes import SEVEN, ClassTable
from facemill.data.shards import decode_image, encode_mask
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.inference.painter import Painter
from facemill.inference.vectors import Vectors
from facemill.networks.spade import Generator
from facemill.studio.messages import Slider, State, Style
from facemill.studio.painting import Portrait, Studio
from facemill.studio.paths import Paths, find_paths
from facemill.studio.settings import Settings
from facemill.synthesize.generate_portraits import generate_portraits

BLACK, GREY, RED = (Style(z=[*code_of(color).tolist(), *[0.0] * (Z_DIM - 3)]) for color in HAIR.values())
MASK = draw_mask(3)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    return write_results(tmp_path_factory.mktemp("results"))


@pytest.fixture
def studio(results) -> Studio:
    return Studio.load(find_paths(results))


def paint(studio: Studio, mask: np.ndarray = MASK, **state) -> Portrait:
    return studio.paint(State(**{"styles": [BLACK], "size": mask.shape} | state), mask)


def test_hello_says_what_there_is(studio, results):
    hello = studio.hello()
    assert [c["name"] for c in hello["classes"]] == list(SEVEN.names)
    assert (hello["size"], hello["z"], hello["z_dim"], hello["portraits"], hello["review"]) == (
        [64, 64],
        "encoder",
        8,
        24,
        3,
    )
    assert hello["groups"] == {"hair_color": list(HAIR)} and hello["booleans"] == ["open_mouth"]
    assert hello["segments"] and hello["encodes"] and hello["strength"] == 1.15
    assert hello["labelled"] is None and hello["model"] == str(results / "gaugan") and hello["sha256"]


@pytest.mark.parametrize("z", ["normal", "none"])
def test_styles_that_are_drawn_are_not_read(tmp_path, z):
    studio = Studio.load(find_paths(write_results(tmp_path, z)))
    hello = studio.hello()
    assert not hello["encodes"] and not hello["groups"] and not hello["booleans"]
    assert studio.portrait(0).z is None and studio.portrait(0).mask.shape == (64, 64)
    portrait = paint(studio, styles=[Style(seed=7)])
    assert len(portrait.header["z"]) == hello["z_dim"] == (0 if z == "none" else Z_DIM)
    if z == "normal":
        with pytest.raises(UserError, match="drawn, not read"):
            paint(studio, styles=[Style(portrait=0)])
    with pytest.raises(UserError, match="there are no vectors"):
        paint(studio, styles=[Style(seed=7)], sliders={"hair_color": Slider("red_hair", 1)})


def test_a_seed_paints_what_generate_portraits_paints(studio, results, tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/a.png").write_bytes(encode_mask(MASK, SEVEN))
    generate_portraits(model=results / "gaugan", masks=tmp_path / "masks", out=tmp_path / "out", seed=7)
    expected = np.asarray(Image.open(tmp_path / "out/a.png"))
    assert np.array_equal(paint(studio, styles=[Style(seed=7)]).pixels, expected)
    assert not np.array_equal(paint(studio, styles=[Style(seed=8)]).pixels, expected)


def test_a_portrait_of_the_collection_gives_its_style_and_its_mask(studio):
    portrait = studio.portrait(5)
    image = torch.from_numpy(decode_image(portrait.image)).permute(2, 0, 1)[None]
    assert portrait.z == studio.painter.encode_styles(image)[0].tolist()
    assert paint(studio, styles=[Style(portrait=5)]).header["z"] == portrait.z
    assert set(np.unique(portrait.mask)) <= set(range(7))
    with pytest.raises(UserError, match="found 24; accepted: less than 24"):
        studio.portrait(24)


def test_held_out_portraits_come_first(studio):
    out = [held_out(portrait.name, studio.settings.holdout) for portrait in studio.collection]
    assert len(out) == 24 and 0 < sum(out) < 24 and out == sorted(out, reverse=True)
    sheet = studio.thumbnails()
    height, width, _ = decode_image(sheet.body).shape
    assert sheet.header == {"count": 24, "size": (96, 96), "columns": 6} and (height, width) == (4 * 96, 6 * 96)


def test_two_styles_are_mixed_and_at_the_ends_one_of_them(studio):
    black, red = paint(studio), paint(studio, styles=[RED])
    for mix, alone in ((0, black), (1, red)):
        assert paint(studio, styles=[BLACK, RED], mix=mix).body == alone.body
    half = paint(studio, styles=[BLACK, RED], mix=0.5)
    assert half.z == pytest.approx((black.z + red.z) / 2)


@pytest.fixture(scope="module")
def by_region(tmp_path_factory):
    """A studio of a model with styles by region."""
    return Studio.load(find_paths(write_results(tmp_path_factory.mktemp("by_region"), "regions")))


def code_of_class(studio, z, name):
    return z[studio.painter.numbers_of(name)]


def test_the_second_style_gives_the_mixed_regions_alone(by_region):
    first, second = (paint(by_region, styles=[Style(seed=seed)]) for seed in (7, 8))
    both = paint(by_region, styles=[Style(seed=7), Style(seed=8)], mix=1, mixed=["hair", "mouth"])
    for name in by_region.classes.names:
        expected = second if name in ("hair", "mouth") else first
        assert np.array_equal(code_of_class(by_region, both.z, name), code_of_class(by_region, expected.z, name))
    hair = by_region.classes.names.index("hair")
    changed = np.abs(both.pixels.astype(int) - first.pixels).max(2) > 8
    assert changed[hair == MASK].all() and not changed[MASK == 0].any()
    assert paint(by_region, styles=[Style(seed=7), Style(seed=8)], mix=1, mixed=[]).body == first.body


def test_a_chosen_color_is_the_code_of_its_region_whatever_the_style(by_region):
    for truncation in (1, 0.5):
        portrait = paint(by_region, styles=[Style(seed=7)], truncation=truncation, colors={"hair": "#ff0080"})
        assert code_of_class(by_region, portrait.z, "hair") == pytest.approx([1, -1, 128 / 127.5 - 1], abs=1e-6)
        plain = paint(by_region, styles=[Style(seed=7)], truncation=truncation)
        others = np.setdiff1d(np.arange(plain.z.size), by_region.painter.numbers_of("hair"))
        assert np.array_equal(portrait.z[others], plain.z[others])


@pytest.mark.parametrize("change", [{"mixed": ["hat"]}, {"colors": {"hat": "#000000"}}])
def test_a_region_that_is_no_class_is_refused(studio, by_region, change):
    styles = [Style(seed=7), Style(seed=8)]
    with pytest.raises(UserError, match="style of 'hat': accepted: background, skin"):
        paint(by_region, styles=styles, **change)
    with pytest.raises(UserError, match="style of 'hat': accepted: none, it is not by region"):
        paint(studio, styles=styles, **change)


def test_truncation_leads_to_the_mean_style(studio):
    mean = torch.linspace(-1, 1, Z_DIM)
    studio.painter.generator.style_mean.copy_(mean)
    assert np.array_equal(paint(studio, truncation=0).z, mean.numpy())
    assert np.array_equal(paint(studio, truncation=1).z, np.float32(BLACK.z))
    assert paint(studio, truncation=0.5).z == pytest.approx((mean.numpy() + np.float32(BLACK.z)) / 2, abs=1e-6)


def test_a_slider_goes_from_what_the_hair_shows(studio):
    before = paint(studio)
    assert before.seen == {"hair_color": "black_hair"}
    after = paint(studio, sliders={"hair_color": Slider("grey_hair", 1)})
    assert studio.sliders.seen(after.pixels, MASK) == {"hair_color": "grey_hair"}
    assert after.seen == {"hair_color": "black_hair"}  # without the slider, so that it does not flip
    assert after.body == paint(studio, sliders={"hair_color": Slider("grey_hair", 1, "black_hair")}).body
    assert paint(studio, sliders={"hair_color": Slider("grey_hair", 0)}).body == before.body
    assert paint(studio, sliders={"hair_color": Slider("black_hair", 1)}).body == before.body
    half = paint(studio, sliders={"hair_color": Slider("grey_hair", 0.5)})
    assert half.z == pytest.approx((before.z + after.z) / 2, abs=1e-6)


def test_sliders_add_up(studio):
    mouth, hair = Slider("open_mouth", 0.5), Slider("red_hair", 1.15)
    alone = paint(studio, sliders={"open_mouth": mouth}).z - np.float32(BLACK.z)
    assert alone == pytest.approx([0, 0, 0, 0.5, 0, 0, 0, 0], abs=1e-6)
    both = paint(studio, sliders={"open_mouth": mouth, "hair_color": hair}).z
    assert both == pytest.approx(paint(studio, sliders={"hair_color": hair}).z + alone, abs=1e-6)


def test_without_palettes_a_slider_starts_from_the_mean_of_the_other_names(results):
    plain = Studio(Painter.load(results / "gaugan"), find_paths(results), vectors=vectors_of(results))
    assert paint(plain).seen == {"hair_color": None}
    step = paint(plain, sliders={"hair_color": Slider("grey_hair", 1)}).z - np.float32(BLACK.z)
    pairs = vectors_of(results).pairs
    mean = (pairs["black_hair", "grey_hair"] + pairs["red_hair", "grey_hair"]) / 2
    assert step == pytest.approx(mean, abs=1e-6)


def vectors_of(results: Path) -> Vectors:
    return Vectors.load(results / "attributes/vectors.safetensors")


def test_without_hair_no_hair_color_is_seen(studio):
    assert paint(studio, np.where(MASK == 5, 0, MASK).astype(np.uint8)).seen == {"hair_color": None}


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ({"sliders": {"skin": Slider("tan", 1)}}, "sliders: found 'skin'; accepted: hair_color, open_mouth"),
        ({"sliders": {"hair_color": Slider("tan", 1)}}, "hair_color: found 'tan'; accepted: black_hair, grey_hair"),
        ({"sliders": {"hair_color": Slider("red_hair", 1, "tan")}}, "hair_color: found 'tan'"),
        ({"sliders": {"open_mouth": Slider("red_hair", 1)}}, "open_mouth: found 'red_hair'; accepted: open_mouth"),
        ({"sliders": {"open_mouth": Slider("open_mouth", 1, "red_hair")}}, "open_mouth: found 'red_hair'"),
        ({"styles": [Style(z=[0.0] * 7)]}, "a style of 7 numbers; accepted: 8"),
        ({"styles": [Style(portrait=99)]}, "portrait: found 99"),
    ],
)
def test_what_is_not_there_is_named(studio, state, fault):
    with pytest.raises(UserError, match=fault):
        paint(studio, **state)


def test_a_resting_state_alone_decides_the_portrait(studio, results):
    """Whatever was painted before it, moving or not."""
    sliders = {"hair_color": Slider("grey_hair", 1.15)}
    fresh = paint(Studio.load(find_paths(results)), sliders=sliders)
    bald = np.where(MASK == 5, 0, MASK).astype(np.uint8)
    paint(studio, bald, sliders=sliders)
    paint(studio, bald, sliders=sliders, moving=True)
    again = paint(studio, sliders=sliders)
    assert again.body == fresh.body and again.seen == fresh.seen
    assert again.header | {"ms": 0} == fresh.header | {"ms": 0}


def test_while_the_pen_moves_a_slider_costs_no_second_painting(studio, monkeypatch):
    painted = []
    paint_one = studio.painter.paint
    monkeypatch.setattr(studio.painter, "paint", lambda *args: painted.append(1) or paint_one(*args))
    sliders = {"hair_color": Slider("grey_hair", 1.15)}
    paint(studio, sliders=sliders)
    assert len(painted) == 2  # without the slider, to see the hair, and with it
    for seed in range(3):
        paint(studio, draw_mask(seed), sliders=sliders, moving=True)
    assert len(painted) == 5
    paint(studio, draw_mask(2), sliders=sliders)
    assert len(painted) == 7


@pytest.mark.parametrize("groups", [{}, {"hair_color": list(HAIR)}])
def test_where_no_name_can_be_seen_a_slider_costs_no_second_painting(studio, results, monkeypatch, groups):
    vectors = Vectors(groups, vectors_of(results).pairs if groups else {}, vectors_of(results).booleans)
    plain = Studio(studio.painter, studio.paths, vectors=vectors)
    painted = []
    paint_one = studio.painter.paint
    monkeypatch.setattr(studio.painter, "paint", lambda *args: painted.append(1) or paint_one(*args))
    assert paint(plain, sliders={"open_mouth": Slider("open_mouth", 0.5)}).seen == dict.fromkeys(groups)
    assert len(painted) == 1


def test_a_mask_of_another_size_is_fitted_by_nearest_pixels(studio):
    large = np.repeat(np.repeat(MASK, 3, 0), 3, 1)
    assert paint(studio, large).body == paint(studio).body


def test_portraits_are_sent_pixel_by_pixel_but_large_ones_while_the_pen_moves():
    for size, moving, kind in ((256, True, "rgba"), (512, True, "jpeg"), (512, False, "rgba")):
        torch.manual_seed(0)
        generator = Generator(size=size, z_dim=8, ngf=2, nhidden=2, classes=7).eval()
        studio = Studio(Painter(generator, SEVEN), Paths(Path("gaugan"), Path("edits")))
        portrait = paint(studio, np.zeros((size, size), np.uint8), moving=moving)
        assert portrait.header["kind"] == kind and portrait.header["size"] == [size, size]
        if kind == "rgba":
            pixels = np.frombuffer(portrait.body, np.uint8).reshape(size, size, 4)
            assert np.array_equal(pixels[..., :3], portrait.pixels) and (pixels[..., 3] == 255).all()
        else:
            assert np.abs(decode_image(portrait.body).astype(int) - portrait.pixels).mean() < 4


def test_any_class_table_and_portraits_twice_as_high_as_wide():
    fine = ClassTable.model_validate(yaml.safe_load((ROOT / "config/fine.yaml").read_text())["classes"])
    torch.manual_seed(0)
    generator = Generator(size=128, z_dim=8, ngf=4, nhidden=8, classes=15, ratio=2).eval()
    studio = Studio(Painter(generator, fine), Paths(Path("gaugan"), Path("edits")))
    mask = np.repeat(np.arange(16, dtype=np.uint8) % 15, 128 * 64 // 16).reshape(128, 64)
    portrait = paint(studio, mask)
    assert portrait.header["size"] == [128, 64] and len(portrait.body) == 128 * 64 * 4
    assert not np.array_equal(paint(studio, np.where(mask == 14, 13, mask).astype(np.uint8)).pixels, portrait.pixels)


def test_no_picture_is_gray_and_named():
    generator = make_generator().eval()
    generator.last.bias.data[1] = np.nan
    studio = Studio(Painter(generator, SEVEN), Paths(Path("gaugan"), Path("edits")))
    portrait = paint(studio)
    assert portrait.header["fault"] == "the model returned no picture" and (portrait.pixels == 128).all()
    assert portrait.header["size"] == [64, 64] and len(portrait.body) == 64 * 64 * 4
    assert portrait.header["z"] == np.float32(BLACK.z).tolist()
    generator.last.bias.data[1] = 0
    assert "fault" not in paint(studio).header


def test_a_studio_of_a_model_alone_paints(results, tmp_path):
    shutil.copytree(results / "gaugan", tmp_path / "gaugan")
    (tmp_path / "gaugan/style_encoder.safetensors").unlink()
    studio = Studio.load(find_paths(model=tmp_path / "gaugan"))
    hello = studio.hello()
    assert (hello["portraits"], hello["review"], hello["groups"], hello["strength"]) == (0, 0, {}, 1.0)
    assert not hello["segments"] and not hello["encodes"]
    assert studio.thumbnails().header["count"] == 0
    assert np.median(paint(studio).pixels[MASK == 5]) < 90 < np.median(paint(studio, styles=[GREY]).pixels[MASK == 5])


def test_portraits_without_masks_give_styles(results):
    paths = replace(find_paths(results), masks=())
    studio = Studio.load(paths)
    assert studio.portrait(0).mask.size == 0 and len(studio.portrait(0).z) == Z_DIM


def test_a_file_without_vectors_gives_no_sliders(results):
    studio = Studio(Painter.load(results / "gaugan"), find_paths(results), vectors=Vectors({}, {}, {}))
    assert studio.hello()["groups"] == {} and studio.vectors is None


def test_vectors_of_other_styles_are_refused(results):
    short = {pair: vector[:5] for pair, vector in vectors_of(results).pairs.items()}
    with pytest.raises(UserError, match="vectors of 5 numbers; accepted: 8"):
        Studio(
            Painter.load(results / "gaugan"),
            find_paths(results),
            vectors=Vectors({"hair_color": list(HAIR)}, short, {}),
        )


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("labels: {merge: {hair: hair}}", "labels.merge.hair"),
        ("holdout: 3", "holdout"),
        ("{", "settings.yaml: "),
        ("- 1", "its content"),
    ],
)
def test_settings_that_cannot_be_read_are_named(tmp_path, content, fault):
    (tmp_path / "settings.yaml").write_text(content)
    with pytest.raises(UserError, match=fault) as raised:
        Settings.load(tmp_path / "settings.yaml")
    assert "accepted: all settings of a run" in str(raised.value) and "\n" not in str(raised.value)
