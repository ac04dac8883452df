"""The verbs of taggers: illustration2vec's and WD14's files with small networks, colors, the collection's tags."""

import numpy as np
import pytest
from helpers.tagger_files import I2V_SIZE, I2V_TAGS, WD14_SIZE, write_i2v, write_wd14
from scipy.special import expit

from facemill.errors import UserError
from facemill.imaging.palettes import lab_palette
from facemill.taggers.i2v import MEAN_BGR, I2v
from facemill.taggers.local import CollectionTagger, ColorTagger
from facemill.taggers.tagger import TaggerInput, most_probable
from facemill.taggers.wd14 import Wd14


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def convolutions(random) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    shapes = {"encode1": (4, 3, 8, 8), "conv6_4": (5, 3, 3, 3)}
    return {name: (0.01 * random.normal(size=s), random.normal(size=s[0])) for name, s in shapes.items()}


@pytest.fixture
def i2v(tmp_path, convolutions) -> I2v:
    return I2v(write_i2v(tmp_path / "i2v", convolutions))


@pytest.fixture
def portraits(random) -> list[TaggerInput]:
    return [TaggerInput(random.integers(0, 256, (I2V_SIZE, I2V_SIZE, 3), np.uint8)) for _ in range(19)]


def prepared(portrait: TaggerInput) -> np.ndarray:
    """(3, S, S), in illustration2vec's order of channels, minus its mean."""
    return (portrait.image[..., ::-1].astype(float) - MEAN_BGR).transpose(2, 0, 1)


def test_i2v_gives_what_its_layers_compute(i2v, convolutions, portraits):
    weights, bias = convolutions["conv6_4"]
    rows = i2v.estimate_specific_tags(portraits, I2V_TAGS)
    assert len(rows) == 19 and rows[0].keys() == set(I2V_TAGS)
    for portrait, tags in zip(portraits, rows, strict=True):
        padded = np.pad(prepared(portrait), ((0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
        pooled = np.einsum("chwxy,ocxy->ohw", windows, weights).mean((1, 2)) + bias
        np.testing.assert_allclose(list(tags.values()), expit(pooled), atol=1e-4)


def test_i2v_feature_is_encode1(i2v, convolutions, portraits):
    weights, bias = convolutions["encode1"]
    expected = [np.einsum("chw,ochw->o", prepared(portrait), weights) + bias for portrait in portraits]
    np.testing.assert_allclose(i2v.extract_feature(portraits), expected, rtol=1e-3, atol=1e-3)


def test_i2v_stretches_images_to_its_size(i2v, portraits):
    large = [TaggerInput(np.kron(p.image, np.ones((3, 2, 1), np.uint8))) for p in portraits[:2]]
    assert i2v.extract_feature(large).shape == (2, 4)
    flat = TaggerInput(np.full((50, 20, 3), 90, np.uint8))
    same = TaggerInput(np.full((I2V_SIZE, I2V_SIZE, 3), 90, np.uint8))
    np.testing.assert_allclose(i2v.probabilities([flat]), i2v.probabilities([same]), atol=1e-5)


def test_plausible_tags_are_sorted_by_category(i2v, portraits):
    rows = i2v.estimate_specific_tags(portraits, ["blue_hair", "Red Hair", "long_hair"])
    for plausible, probs in zip(i2v.estimate_plausible_tags(portraits, threshold=0.5), rows, strict=True):
        assert plausible.keys() == {"general", "character", "copyright", "rating"}
        assert [p for _, p in plausible["general"]] == sorted((p for p in probs.values() if p > 0.5), reverse=True)
        assert {name for name, _ in plausible["rating"]} == {"safe", "questionable"}


def test_the_published_list_has_its_categories(tmp_path, convolutions):
    folder = write_i2v(tmp_path / "i2v", convolutions)
    names = [f"tag {n}" for n in range(1539)]
    (folder / "tag_list.json").write_text(str(names).replace("'", '"'))
    tagger = I2v(folder)
    assert (tagger.names[512], tagger.categories[511], tagger.categories[512]) == ("tag_512", "general", "character")
    assert tagger.categories[1024] == "copyright" and tagger.categories[1536:] == ["rating"] * 3
    with pytest.raises(UserError, match="found 1539 tags; accepted: 5"):
        tagger.probabilities([TaggerInput(np.zeros((8, 8, 3), np.uint8))])


def test_damaged_i2v_files_are_refused(tmp_path, convolutions):
    with pytest.raises(UserError, match="tag_list.json: not a list of tags"):
        I2v(tmp_path)
    folder = write_i2v(tmp_path / "i2v", convolutions)
    model = folder / "illust2vec_tag_ver200.caffemodel"
    model.write_bytes(model.read_bytes()[:-40])
    with pytest.raises(UserError, match="caffemodel: not a readable Caffe network"):
        I2v(folder)
    model.unlink()
    with pytest.raises(UserError, match="caffemodel: no such file"):
        I2v(folder)


def test_features_come_from_the_feature_network_where_the_tag_network_has_none(tmp_path, convolutions, portraits):
    folder = write_i2v(tmp_path / "i2v", convolutions)
    tag_net = folder / "illust2vec_tag.prototxt"
    prototxt = tag_net.read_text()
    tag_net.write_text(prototxt.replace('"encode1"', '"other"'))
    with pytest.raises(UserError, match="illust2vec.prototxt: no such file"):
        I2v(folder).extract_feature(portraits)
    (folder / "illust2vec.prototxt").write_text(prototxt)
    (folder / "illust2vec_ver200.caffemodel").write_bytes((folder / "illust2vec_tag_ver200.caffemodel").read_bytes())
    assert I2v(folder).extract_feature(portraits).shape == (19, 4)


@pytest.fixture
def linear(random) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    inputs = WD14_SIZE**2 * 3
    return random.normal(size=(inputs, 7)) / inputs, random.normal(size=(7, 5)) / 50, random.normal(size=5)


def test_wd14_gives_what_its_layers_compute(tmp_path, linear, random):
    features, weights, bias = linear
    tagger = Wd14(write_wd14(tmp_path / "wd14", *linear))
    portraits = [TaggerInput(random.integers(0, 256, (WD14_SIZE, WD14_SIZE, 3), np.uint8)) for _ in range(11)]
    expected = np.array([p.image[..., ::-1].reshape(-1).astype(float) for p in portraits]) @ features
    np.testing.assert_allclose(tagger.probabilities(portraits), expit(expected @ weights + bias), atol=1e-4)
    np.testing.assert_allclose(tagger.extract_feature(portraits), expected, rtol=1e-4, atol=1e-3)
    plausible = tagger.estimate_plausible_tags(portraits, threshold=0)[0]
    assert {name for name, _ in plausible["character"]} == {"hatsune_miku"}
    assert {name for name, _ in plausible["rating"]} == {"general", "sensitive"}


def test_wd14_squares_images_on_white(tmp_path, linear):
    tagger = Wd14(write_wd14(tmp_path / "wd14", *linear))
    tall = np.zeros((2 * WD14_SIZE, WD14_SIZE, 3), np.uint8)
    squared = np.full((2 * WD14_SIZE, 2 * WD14_SIZE, 3), 255, np.uint8)
    squared[:, WD14_SIZE // 2 : -(WD14_SIZE // 2)] = 0
    np.testing.assert_allclose(tagger.probabilities([TaggerInput(tall)]), tagger.probabilities([TaggerInput(squared)]))


def test_damaged_wd14_files_are_refused(tmp_path, linear):
    with pytest.raises(UserError, match="selected_tags.csv: not a list of tags"):
        Wd14(tmp_path)
    folder = write_wd14(tmp_path / "wd14", *linear)
    tags = folder / "selected_tags.csv"
    tags.write_text(tags.read_text().replace("4,hatsune_miku,4,100", ""))
    with pytest.raises(UserError, match="found 4 tags; accepted: 5"):
        Wd14(folder)
    (folder / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(UserError, match="model.onnx: not a readable ONNX model"):
        Wd14(folder)


def test_the_collections_tags_are_certain():
    tagger = CollectionTagger(["grey_hair", "Smiling"])
    image = np.zeros((2, 2, 3), np.uint8)
    portraits = [TaggerInput(image, ["solo", "gray hair"]), TaggerInput(image, ["smiling"]), TaggerInput(image)]
    assert tagger.estimate_specific_tags(portraits, ["grey_hair", "Smiling"]) == [
        {"grey_hair": 1, "Smiling": 0},
        {"grey_hair": 0, "Smiling": 1},
        {"grey_hair": 0, "Smiling": 0},
    ]
    np.testing.assert_array_equal(tagger.extract_feature(portraits), [[1, 0], [0, 1], [0, 0]])
    with pytest.raises(UserError, match="tag 'hat': not known; accepted: one of 2 such as grey_hair, Smiling"):
        tagger.estimate_specific_tags(portraits, ["hat"])


def test_colors_are_named_region_by_region():
    palettes = {
        "hair": lab_palette({"black_hair": ["#202024"], "red_hair": ["#c02020"]}),
        "eye": lab_palette({"blue_eyes": ["#2040c0"], "green_eyes": ["#20c040"]}),
    }
    tagger = ColorTagger(palettes)
    colors = {"hair": lab_palette({"x": ["#b02020"]})["x"][0], "eye": None}
    image = np.zeros((2, 2, 3), np.uint8)
    masked, unmasked = tagger.estimate_specific_tags(
        [TaggerInput(image, colors=colors), TaggerInput(image)], tagger.names
    )
    assert masked["red_hair"] > 0.95 and masked["red_hair"] + masked["black_hair"] == pytest.approx(1)
    assert masked["blue_eyes"] == masked["green_eyes"] == 0 and not any(unmasked.values())
    feature = tagger.extract_feature([TaggerInput(image, colors=colors)])
    assert feature.shape == (1, 18) and np.isfinite(feature).sum() == 3


def test_two_equal_names_are_none():
    assert most_probable({"a": 0.2, "b": 0.9, "c": 0.95}, ["a", "b"]) == ("b", 0.9)
    assert most_probable({"a": 1.0, "b": 1.0}, ["a", "b"]) == (None, None)
    assert most_probable({"a": 1.0}, ["b"]) == (None, None)
