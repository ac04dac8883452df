"""Training of CycleGAN: exact resume with pool and EMA, what is learned, refusals."""

import json
import re

import numpy as np
import pytest
from helpers.scenes import save_varied_unet
from helpers.training import sigterm_in_step
from helpers.translate import SETTINGS, arguments, changed, into, write_portraits

from facemill.config.ingest import Cropping
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.inference.translator import Translator
from facemill.networks.store import model_settings
from facemill.translate.train_cyclegan import train_cyclegan, warn_of_inversion


@pytest.fixture
def inputs(tmp_path, monkeypatch) -> dict:
    monkeypatch.chdir(tmp_path)
    return arguments(tmp_path)


def test_a_training_leaves_both_directions_at_eight_points_and_grids(inputs, tmp_path):
    train_cyclegan(settings=SETTINGS, **inputs)
    curves = np.genfromtxt(inputs["curves"], delimiter=",", names=True)
    losses = {f"{name}_{way}" for name in ("gan", "cycle", "identity", "d") for way in ("a2b", "b2a")}
    assert set(curves.dtype.names) == losses | {"images"} and curves["images"][-1] == 80
    for way in ("a2b", "b2a"):
        images = [model_settings(path)["images"] for path in inputs[way]]
        assert images == sorted(set(images)) and images[-1] == 80
        assert Translator.load(inputs[way][-1]).size == 32
    assert len({path.read_bytes() for path in inputs["a2b"]}) == 8
    assert len(list(tmp_path.glob("work/cyclegan-*/translated-*.png"))) == 8


def test_each_direction_says_how_the_portraits_that_it_translates_were_cropped(inputs, tmp_path):
    inputs |= {"settings": changed(training={"images": 8, "batch": 8, "learning_rate": 1e-3})}
    inputs |= {"cropping": Cropping(crop="top"), "other_run": tmp_path / "results/other"}
    train_cyclegan(**inputs)  # without settings the other run counts as this one
    assert [model_settings(inputs[way][0])["crop"] for way in ("a2b", "b2a")] == ["top", "top"]
    inputs["other_run"].mkdir(parents=True)
    portraits = {"size": 64, "shards": 1, "crop": "face", "detector": {"kind": "cascade", "cascade": "face.xml"}}
    settings = {"portraits": portraits, "holdout": 0.05}
    (inputs["other_run"] / "config.yaml").write_text(json.dumps(settings))
    with pytest.raises(UserError, match=r"holdout: found 0\.2; accepted: at most that of .*other, 0\.05"):
        train_cyclegan(**inputs)
    (inputs["other_run"] / "config.yaml").write_text(json.dumps(settings | {"holdout": 0.2}))
    train_cyclegan(**inputs)
    there, back = (model_settings(inputs[way][0]) for way in ("a2b", "b2a"))
    assert (there["crop"], there["detector"]) == ("top", None)
    assert (back["crop"], back["detector"]["cascade"]) == ("face", "face.xml")


@pytest.mark.parametrize(("method", "stop"), [("cyclegan", 1), ("cyclegan", 6), ("cut", 6)])
def test_a_stopped_training_resumes_to_the_same_bytes(inputs, tmp_path, method, stop):
    """With augmentation, parts, and a pool that is not yet full or exchanges images."""
    settings, ways = changed(method=method), ("a2b", "b2a") if method == "cyclegan" else ("a2b",)
    inputs = {name: value for name, value in inputs.items() if name not in ("a2b", "b2a")}
    runs = []
    for name in ("uninterrupted", "resumed"):
        products = into(tmp_path / name)
        runs.append(inputs | {key: products[key] for key in (*ways, "curves")})
    train_cyclegan(settings=settings, **runs[0])
    with sigterm_in_step(stop):
        train_cyclegan(settings=settings, **runs[1])
    assert list(tmp_path.glob("work/cyclegan-*/checkpoint.safetensors"))
    train_cyclegan(settings=settings, **runs[1])
    for product in ways:
        for first, second in zip(runs[0][product], runs[1][product], strict=True):
            assert first.read_bytes() == second.read_bytes()
    assert runs[0]["curves"].read_bytes() == runs[1]["curves"].read_bytes()


def test_dark_portraits_become_bright_and_bright_ones_dark(inputs):
    settings = changed(
        diff_augment=False, grad_accumulation=1, training={"images": 1600, "batch": 8, "learning_rate": 2e-3}
    )
    train_cyclegan(settings=settings, **inputs)
    dark = np.random.default_rng(7).integers(20, 80, (4, 8, 8, 3), np.uint8).repeat(4, 1).repeat(4, 2)
    assert Translator.load(inputs["a2b"][-1]).translate(dark).mean() > 150
    assert Translator.load(inputs["b2a"][-1]).translate(dark + 160).mean() < 110


def test_cut_trains_one_direction(inputs, tmp_path):
    del inputs["b2a"]
    settings = changed(
        method="cut",
        diff_augment=False,
        grad_accumulation=1,
        training={"images": 1600, "batch": 8, "learning_rate": 2e-3},
    )
    train_cyclegan(settings=settings, **inputs)
    curves = np.genfromtxt(inputs["curves"], delimiter=",", names=True)
    assert set(curves.dtype.names) == {"images", "gan_a2b", "nce_a2b", "identity_a2b", "d_a2b"}
    assert model_settings(inputs["a2b"][-1])["method"] == "cut"
    assert not list((tmp_path / "work").rglob("b2a*"))
    dark = np.random.default_rng(7).integers(20, 80, (4, 8, 8, 3), np.uint8).repeat(4, 1).repeat(4, 2)
    bright = Translator.load(inputs["a2b"][-1]).translate(dark)
    assert bright.mean() > 150 and np.corrcoef(dark.ravel(), bright.ravel())[0, 1] > 0.5


def test_held_out_portraits_are_not_learned_from_and_those_of_one_id_in_one_collection_alone(inputs, caplog):
    for paired in (False, True):
        caplog.clear()
        with caplog.at_level("INFO", logger="facemill"):
            train_cyclegan(
                settings=changed(training={"images": 8, "batch": 8, "learning_rate": 1e-3}),
                **inputs
                | {
                    "paired": paired,
                    "portraits": [write_portraits(inputs["other"][0].parent / "c.parquet", 20, 200)],
                    "other": [write_portraits(inputs["other"][0].parent / "d.parquet", 180, 200)],
                },
            )
        said = next(message for message in caplog.messages if "learns from" in message)
        a, b = map(int, re.findall(r"from (\d+) portraits and (\d+)", said)[0])
        learned = sum(not held_out(str(number), 0.2) for number in range(200))
        assert (a + b == learned) if paired else (a == b == learned)


def test_too_few_portraits_are_refused(inputs, tmp_path):
    few = write_portraits(tmp_path / "few/few.parquet", 180, portraits=40)
    with pytest.raises(UserError, match=r"few: found \d+ portraits to learn from; accepted: 50 or more"):
        train_cyclegan(settings=SETTINGS, **inputs | {"other": [few]})


def test_too_few_held_out_portraits_are_refused_before_the_training(inputs, tmp_path):
    with pytest.raises(UserError, match=r"holdout: found 0\.05, which holds out \d portraits of .* to choose by; acc"):
        train_cyclegan(settings=SETTINGS, **inputs | {"holdout": 0.05})
    assert not list(tmp_path.glob("work/*"))


def test_other_sizes_and_shapes_are_refused(inputs, tmp_path):
    small = write_portraits(tmp_path / "small.parquet", 180, height=48, width=48)
    with pytest.raises(UserError, match="portraits of 48 pixels; accepted: a multiple of 32, cyclegan.size"):
        train_cyclegan(settings=SETTINGS, **inputs | {"other": [small]})
    narrow = write_portraits(tmp_path / "narrow.parquet", 180, height=64, width=32)
    with pytest.raises(UserError, match="found portraits of 16 x 32 pixels at cyclegan.size; accepted: 32 x 32"):
        train_cyclegan(settings=SETTINGS, **inputs | {"other": [narrow]})


def test_widths_that_the_generators_do_not_keep_are_refused(inputs, tmp_path):
    sides = [write_portraits(tmp_path / f"{light}.parquet", light, height=128, width=88) for light in (20, 180)]
    inputs |= {"portraits": sides[:1], "other": sides[1:]}
    settings = changed(size=64, training={"images": 8, "batch": 8, "learning_rate": 1e-3})
    train_cyclegan(settings=settings, **inputs)
    assert model_settings(inputs["a2b"][0])["ratio"] == pytest.approx(16 / 11)
    with pytest.raises(UserError, match="cyclegan.size: found portraits of 22 x 32 pixels; accepted: widths that are"):
        train_cyclegan(settings=changed(size=32), **inputs)


def test_the_same_collection_twice_is_refused(inputs):
    with pytest.raises(UserError, match="cyclegan.other: .* holds 100% of the portraits in"):
        train_cyclegan(settings=SETTINGS, **inputs | {"other": inputs["portraits"]})


def test_masks_and_colors_are_losses_of_both_directions_where_they_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs, unet = arguments(tmp_path, masked=True), save_varied_unet(tmp_path / "unet.safetensors")
    settings = changed(mask_weight=2, color_weight=1, training={"images": 16, "batch": 8, "learning_rate": 1e-3})
    train_cyclegan(settings=settings, **inputs, unet=unet, other_unet=unet)
    curves = np.genfromtxt(inputs["curves"], delimiter=",", names=True)
    for name in ("mask_a2b", "mask_b2a", "color_a2b", "color_b2a"):
        assert (curves[name] > 0).all()
    with pytest.raises(UserError, match="cyclegan.mask_model: found nothing; accepted: a U-Net"):
        train_cyclegan(settings=settings, **inputs, unet=unet)
    plain = arguments(tmp_path / "plain")
    with pytest.raises(UserError, match="cyclegan.mask_weight, cyclegan.color_weight: .* has no masks"):
        train_cyclegan(settings=settings, **plain, unet=unet, other_unet=unet)


def test_inverted_colors_are_named_in_the_log(caplog):
    images = np.random.default_rng(0).integers(60, 200, (4, 32, 32, 3), np.uint8)
    warn_of_inversion(images, images // 2, "a2b")
    warn_of_inversion(images, np.full_like(images, 90), "a2b")
    assert not caplog.messages
    warn_of_inversion(images, 255 - images, "b2a")
    assert [message.split(": bright")[0] for message in caplog.messages] == [
        f"cyclegan: b2a inverts {c}*" for c in "Lab"
    ]
