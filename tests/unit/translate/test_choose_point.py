"""The rule by which a point of a training is chosen, and what the choice writes."""

import csv
import json

import pytest
import torch
from helpers.translate import write_portraits
from PIL import Image

from facemill.data.classes import SEVEN
from facemill.networks.resnet_generator import ResnetGenerator
from facemill.networks.store import save_model
from facemill.networks.unet import Unet
from facemill.networks.vae import Vae
from facemill.translate import choose_point as module
from facemill.translate import classifier
from facemill.translate.choose_point import choose_point, chosen_point
from facemill.translate.evaluate_cyclegan import evaluate_cyclegan


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """A short training of the classifier, which is what takes time."""
    monkeypatch.setattr(classifier, "STEPS", 3)


EVERY = {"frechet_scaled", "cycle", "hidden_messages", "changed", "called", "diversity"}
"""Figures of each direction that there are in every case."""


def of(*points: tuple[float | None, float | None], far_error: float = 0) -> list[dict]:
    """Measured points of one direction: scaled Frechet distances with a standard error, and mIoUs of masks."""
    known = [{"portrait_miou": miou, "portrait_miou_error": 0.01} if miou else {} for _, miou in points]
    distances = [
        {"frechet_scaled": far, "frechet_scaled_error": None if far is None else far_error} for far, _ in points
    ]
    return [{"a2b": far | miou} for far, miou in zip(distances, known, strict=True)]


def test_the_lowest_distance_is_chosen_among_the_points_that_keep_the_layout():
    assert chosen_point(of((0.9, 0.8), (0.3, 0.65), (0.1, 0.63))) == 1, "the last keeps less than four fifths"
    assert chosen_point(of((0.9, 0.8), (0.3, 0.65), (0.1, 0.65))) == 2


def test_of_points_within_an_error_of_the_lowest_distance_the_latest_is_chosen():
    points = (0.9, 0.8), (0.10, 0.8), (0.14, 0.8), (0.16, 0.8)
    assert chosen_point(of(*points, far_error=0.05)) == 2
    assert chosen_point(of(*points, (0.05, 0.6), far_error=0.05)) == 2, "the last one loses the layout"


def test_a_distance_that_is_not_known_is_infinite():
    assert chosen_point(of((0.3, None), (None, None), far_error=0.1)) == 0
    [unknown] = of((None, None))
    points = [unknown | {"b2a": point["a2b"]} for point in of((0.1, None), (0.3, None))]
    assert chosen_point(points) == 0, "one direction alone tells"


def test_without_masks_every_point_may_be_chosen():
    assert chosen_point(of((0.9, None), (0.1, None), (0.3, None))) == 1


def test_of_equal_points_the_later_is_chosen():
    assert chosen_point(of((0.2, 0.8), (0.2, 0.8), (0.3, 0.8))) == 1
    assert chosen_point(of((None, None), (None, None))) == 1, "collections that do not differ"


def test_both_directions_count_with_the_error_of_their_mean():
    points = [
        {
            name: {
                **{"frechet_scaled": far, "frechet_scaled_error": 0.01},
                **{"portrait_miou": miou, "portrait_miou_error": 0.01},
            }
            for name, far, miou in (("a2b", far, 0.8), ("b2a", 0.2, miou))
        }
        for far, miou in ((0.8, 0.8), (0.2, 0.49), (0.1, 0.47))
    ]
    assert chosen_point(points) == 1  # means of mIoU are .8, .645 and .635; least is .64
    for point in points:
        point["a2b"]["frechet_scaled"], point["b2a"]["portrait_miou"] = 0.8, 0.8
    points[1]["a2b"]["frechet_scaled"] -= 0.015  # the error of the mean is hypot(.01, .01) / 2 = .0071
    assert chosen_point(points) == 1
    points[1]["a2b"]["frechet_scaled"] += 0.002
    assert chosen_point(points) == 2


def save_translators(folder, points: int) -> dict:
    """Points of a training whose translators have random weights."""
    arguments, paths = {"width": 4, "blocks": 1}, {}
    for way in ("a2b", "b2a"):
        paths[way] = [folder / f"points/{number}/{way}.safetensors" for number in range(1, points + 1)]
        for number, path in enumerate(paths[way]):
            torch.manual_seed(number)
            save_model(path, ResnetGenerator(**arguments), arguments, {"size": 32, "images": 100 * (number + 1)})
    return {f"points_{way}": found for way, found in paths.items()}


def inputs(folder, *, masked: bool) -> dict:
    """What both doors are told of the collections, and networks of random weights."""
    torch.manual_seed(0)
    unet = {"size": 64, "decoder": "upsample", "decoder_channels": (16, 16, 8, 8, 8), "classes": len(SEVEN)}
    save_model(folder / "unet.safetensors", Unet(**unet), unet, {}, SEVEN)
    vae = {"size": 32, "z_dim": 4, "width": 4}
    save_model(folder / "vae.safetensors", Vae(**vae), vae, {})
    unets = {key: folder / "unet.safetensors" for key in ("unet", "other_unet")}
    return {
        "portraits": [write_portraits(folder / "a.parquet", 20, masked=masked)],
        "other": [write_portraits(folder / "b.parquet", 180, masked=masked)],
        "paired": masked,
        "holdout": 0.5,
        **(unets if masked else {"vae": folder / "vae.safetensors"}),
    }


@pytest.fixture(params=[True, False], ids=["with masks", "without"])
def masked(request) -> bool:
    return request.param


def test_the_chosen_translators_are_copied_with_a_table_of_all_points(tmp_path, masked, monkeypatch):
    monkeypatch.setattr(module, "chosen_point", lambda measured: 1)
    out = {key: tmp_path / f"{key}.safetensors" for key in ("a2b", "b2a")}
    paths = out | {"points": tmp_path / "points.csv", "picture": tmp_path / "points.png"}
    points = save_translators(tmp_path, 3)
    choose_point(**inputs(tmp_path, masked=masked), **points, **paths)
    for way, path in out.items():
        source = points[f"points_{way}"][1]
        assert path.read_bytes() == source.read_bytes()
        assert path.with_suffix(".json").read_bytes() == source.with_suffix(".json").read_bytes()
    with paths["points"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["point"], row["images"], row["chosen"]) for row in rows] == [
        ("1", "100", "0"),
        ("2", "200", "1"),
        ("3", "300", "0"),
    ]
    assert all(float(row[f"{way}_frechet_scaled{of}"]) > 0 for row in rows for way in out for of in ("", "_error"))
    assert [bool(row["a2b_truth"]) for row in rows] == [bool(row["b2a_portrait_miou"]) for row in rows] == [masked] * 3
    assert len({row["a2b_cycle"] for row in rows}) == 3, "each point's own translators"
    assert Image.open(paths["picture"]).width == (1200 if masked else 600)


def evaluated(folder, masked: bool) -> list[bytes]:
    points = save_translators(folder, 1)
    pictures = {key: folder / f"{key}.png" for key in ("picture", "best_and_worst")}
    models = {way: points[f"points_{way}"][0] for way in ("a2b", "b2a")}
    known = inputs(folder, masked=masked) | {"self_graded": ["b2a"] if masked else None}
    evaluate_cyclegan(**known, **models, metrics=folder / "metrics.json", **pictures)
    return [path.read_bytes() for path in (folder / "metrics.json", *pictures.values())]


def test_the_evaluation_writes_what_is_known_of_both_directions(tmp_path, masked):
    first = evaluated(tmp_path, masked)
    metrics = json.loads(first[0])
    for way in ("a2b", "b2a"):
        figures = metrics[way]
        assert figures.keys() >= EVERY and figures["self_graded"] == (masked and way == "b2a")
        assert ("truth" in figures) == ("mask_miou" in figures) == ("no_face" in figures) == masked
        if masked:
            assert figures["no_face"].keys() == {"all", "women", "without"}, "all of them are girls"
    assert Image.open(tmp_path / "picture.png").height == 6 + (8 if masked else 6) * (96 + 6)
    assert evaluated(tmp_path, masked) == first, "the same bytes"


def test_one_direction_alone_is_measured_without_cycles(tmp_path):
    points = save_translators(tmp_path, 2)["points_a2b"]
    known = inputs(tmp_path, masked=True)
    out = {"points": tmp_path / "points.csv", "picture": tmp_path / "points.png", "a2b": tmp_path / "a2b.safetensors"}
    choose_point(**known, points_a2b=points, **out)
    files = {key: tmp_path / key for key in ("metrics", "picture.png", "worst.png")}
    evaluate_cyclegan(
        **known,
        a2b=out["a2b"],
        metrics=files["metrics"],
        picture=files["picture.png"],
        best_and_worst=files["worst.png"],
    )
    metrics = json.loads(files["metrics"].read_text())
    assert "b2a" not in metrics and "cycle" not in metrics["a2b"] and metrics["a2b"]["truth"] > 0
