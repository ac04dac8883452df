"""Styles by seed, picture and portrait, mixed, and moved along attribute vectors: as the library computes them."""

import numpy as np
import pytest
from helpers.studio_models import HAIR, draw_mask, draw_portrait, write_results
from PIL import Image

from facemill.data.shards import encode_mask
from facemill.imaging.colors import difference, region_colors
from facemill.imaging.palettes import lab_palette
from facemill.inference.painter import Painter
from facemill.inference.vectors import Vectors
from facemill.synthesize.generate_portraits import generate_portraits, read_style

pytestmark = pytest.mark.usefixtures("compiled")


def set_seed(editor, slot: str, seed: int) -> None:
    editor.page.click(f"#style-{slot}-seed")
    editor.press("Control+a", *str(seed))
    editor.press("Tab")
    editor.wait(f"studio.state().styles.some(style => style.seed === {seed})")
    editor.rest()


def test_seed_7_is_that_of_generate_portraits(editor, results, painter, tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/a.png").write_bytes(encode_mask(editor.mask(), painter.classes))
    set_seed(editor, "a", 7)
    generate_portraits(model=results / "gaugan", masks=tmp_path / "masks", out=tmp_path / "out", seed=7)
    expected = np.asarray(Image.open(tmp_path / "out/a.png")).astype(int)
    difference = abs(editor.portrait().astype(int) - expected)
    assert difference.max() <= 10  # the library computes in bfloat16 where that is fast
    np.testing.assert_allclose(editor.z(), painter.random_styles(1, 7)[0].numpy(), atol=1e-5)


def test_the_dice_and_r_give_random_seeds_and_enter_the_next(editor):
    for roll in (lambda: editor.page.click("#style-a-dice"), lambda: editor.press("r")):
        set_seed(editor, "a", 7)
        first = editor.portrait()
        roll()
        assert editor.state()["styles"][0]["seed"] not in (7, 8)
        assert (editor.portrait() != first).any()
    set_seed(editor, "a", 7)
    editor.page.press("#style-a-seed", "Enter")
    assert editor.state()["styles"][0] == {"seed": 8}


def test_a_dropped_picture_is_a_style(editor, painter, tmp_path):
    picture = tmp_path / "a picture.png"
    wide = np.concatenate([draw_portrait(draw_mask(3, 96), "#b0302c"), np.zeros((96, 20, 3), np.uint8)], 1)
    Image.fromarray(wide).save(picture)
    before = editor.z()
    editor.drop("#style-a", picture)
    editor.wait("studio.state().styles[0].z !== undefined")
    expected = read_style(picture, painter)[0].numpy()
    assert abs(before - expected).max() > 0.1
    np.testing.assert_allclose(editor.z(), expected, atol=2e-3)


def test_a_portrait_of_the_collection_is_a_style_and_a_mask(editor, results):
    mask = editor.mask()
    editor.page.check("#take-style", force=True)
    editor.page.uncheck("#take-mask", force=True)
    before = editor.z()
    editor.page.click("#portrait-3")
    editor.wait("studio.state().styles[0].seed === undefined")
    assert abs(editor.z() - before).max() > 0.1
    np.testing.assert_array_equal(editor.mask(), mask)
    editor.page.check("#take-mask", force=True)
    editor.page.click("#portrait-4")
    editor.rest()
    editor.wait("studio.undo().undo >= 2")
    taken = editor.mask().tobytes()
    assert taken in {draw_mask(i).tobytes() for i in range(24)} and taken != mask.tobytes()


def test_a_mix_lies_between_two_styles(editor, painter):
    set_seed(editor, "a", 7)
    set_seed(editor, "b", 8)
    a, b = (painter.random_styles(1, seed)[0].numpy() for seed in (7, 8))
    for percent, expected in {0: a, 100: b, 25: 0.75 * a + 0.25 * b}.items():
        editor.slide("#mix", percent)
        np.testing.assert_allclose(editor.z(), expected, atol=1e-4)


def test_truncation_leads_to_the_average_style(editor):
    set_seed(editor, "a", 7)
    z = editor.z()
    editor.slide("#truncation", 0)
    average = editor.z()
    assert abs(average - z).max() > 0.1
    editor.slide("#truncation", 50)
    np.testing.assert_allclose(editor.z(), (z + average) / 2, atol=1e-4)
    set_seed(editor, "a", 8)
    editor.slide("#truncation", 0)
    np.testing.assert_allclose(editor.z(), average, atol=1e-5)


def test_hair_turns_gray_and_back(editor, results, painter):
    palette = lab_palette({name: [color] for name, color in HAIR.items()})
    set_seed(editor, "a", 7)
    editor.page.click("#portrait-1")
    editor.wait("studio.state().styles[0].seed === undefined")
    z, before = editor.z(), editor.portrait().tobytes()
    seen = editor.page.evaluate("studio.portrait().seen.hair_color")
    target = "grey_hair" if seen != "grey_hair" else "red_hair"

    def distance() -> float:
        hair = region_colors(editor.portrait().copy(), editor.mask(), painter.classes)["hair"]
        return difference(hair, palette[target][0])

    start = distance()
    editor.page.select_option("#to-hair_color", target)
    editor.slide("#amount-hair_color", 115)
    assert distance() < start / 2
    vectors = Vectors.load(results / "attributes/vectors.safetensors")
    np.testing.assert_allclose(editor.z(), z + 1.15 * vectors.pairs[seen, target], atol=1e-4)
    editor.slide("#amount-hair_color", 0)
    assert editor.portrait().tobytes() == before


def test_a_boolean_is_added_and_removed(editor, results):
    vector = Vectors.load(results / "attributes/vectors.safetensors").booleans["open_mouth"]
    z = editor.z()
    for percent in (100, -50):
        editor.slide("#amount-open_mouth", percent)
        np.testing.assert_allclose(editor.z(), z + percent / 100 * vector, atol=1e-4)


@pytest.mark.parametrize(("z", "note"), [("none", "has no styles"), ("normal", "styles are drawn, not read")])
def test_a_model_without_styles_of_pictures(start, open_page, tmp_path, z, note):
    """What the model cannot do is grayed out, and says why; the rest works."""
    editor = open_page(start(write_results(tmp_path / "results", z)))
    assert editor.page.get_attribute("#style-a-picture", "aria-disabled") == "true"
    assert "drawn, not read" in editor.page.get_attribute("#style-a-picture", "title")
    assert note in editor.page.inner_text("#style-note")
    before = editor.portrait()
    editor.choose(klass=6, size=20)
    editor.stroke([(10, 10), (50, 50)])
    assert (editor.portrait() != before).any()
    assert editor.errors == []


def test_the_seen_color_is_the_painted_one(editor, painter):
    set_seed(editor, "a", 7)
    seen = editor.page.evaluate("studio.portrait().seen")
    mask, portrait = editor.mask(), editor.portrait().copy()
    hair = region_colors(portrait, mask, painter.classes)["hair"]
    palette = lab_palette({name: [color] for name, color in HAIR.items()})
    nearest = min(palette, key=lambda name: difference(hair, palette[name][0]))
    assert seen["hair_color"] == nearest


@pytest.fixture(scope="module")
def region_results(tmp_path_factory):
    """Results of a model with styles by region."""
    return write_results(tmp_path_factory.mktemp("regions"), "regions")


@pytest.fixture
def by_region(start, open_page, region_results):
    """A page of that model, style A of seed 7 and style B of seed 8."""
    editor = open_page(start(region_results))
    for slot, seed in (("a", 7), ("b", 8)):
        set_seed(editor, slot, seed)
    return editor


@pytest.fixture(scope="module")
def region_painter(region_results):
    return Painter.load(region_results / "gaugan")


def choose_color(editor, name: str, color: str) -> None:
    editor.page.fill(f"#color-{name}", color)
    editor.rest()


def shown_colors(editor) -> dict[str, str]:
    """The colors that the page shows, by class."""
    inputs = editor.page.locator("#regions input[type=color]")
    return dict(inputs.evaluate_all("list => list.map(({ id, value }) => [id.replace('color-', ''), value])"))


def test_a_chosen_color_paints_its_region_and_is_given_back(by_region, region_painter):
    editor, hair = by_region, region_painter.numbers_of("hair")
    before, picture, region = editor.z(), editor.portrait(), editor.mask() == region_painter.classes.names.index("hair")
    assert shown_colors(editor)["hair"] == "#" + bytes(np.uint8(np.round(127.5 * (before[hair] + 1)))).hex()
    choose_color(editor, "hair", "#20c040")
    np.testing.assert_allclose(editor.z()[hair], [32 / 127.5 - 1, 192 / 127.5 - 1, 64 / 127.5 - 1], atol=1e-6)
    np.testing.assert_array_equal(np.delete(editor.z(), hair), np.delete(before, hair))
    assert (abs(editor.portrait().astype(int) - picture).max(2) > 8)[region].all()
    assert editor.state()["colors"] == {"hair": "#20c040"}
    editor.page.click("#regions-reset")
    editor.rest()
    np.testing.assert_array_equal(editor.z(), before)
    editor.press("Control+z")
    editor.rest()
    assert shown_colors(editor)["hair"] == "#20c040"


def test_style_b_gives_the_ticked_regions_alone(by_region, region_painter):
    editor = by_region
    a, b = (region_painter.random_styles(1, seed)[0].numpy() for seed in (7, 8))
    editor.slide("#mix", 100)
    np.testing.assert_allclose(editor.z(), b, atol=1e-6)
    for name in set(region_painter.classes.names) - {"clothes"}:
        editor.page.uncheck(f"#mixes-{name}")
    editor.rest()
    clothes = region_painter.numbers_of("clothes")
    expected = a.copy()
    expected[clothes] = b[clothes]
    np.testing.assert_allclose(editor.z(), expected, atol=1e-6)
    assert editor.state()["mixed"] == ["clothes"]


def test_a_reload_keeps_colors_mixed_regions_and_portraits_of_the_collection(by_region):
    editor = by_region
    editor.page.uncheck("#mixes-hair")
    choose_color(editor, "mouth", "#cc0033")
    editor.page.click("#portrait-3")
    editor.wait("studio.state().styles[0].portrait === 3")
    editor.rest()
    z, state = editor.z(), editor.state()
    editor.page.reload()
    editor.rest()
    assert editor.state() == state
    np.testing.assert_array_equal(editor.z(), z)


def test_models_without_regions_show_none(editor):
    assert not editor.page.is_visible("#regions")
