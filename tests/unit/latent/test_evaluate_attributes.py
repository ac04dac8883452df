"""Edits along vectors with a generator whose style code is the hair's color: all scores are known."""

import json

import numpy as np
import pytest
import torch
from helpers.colorist import EIGHT
from PIL import Image

from facemill.config.latent import TagsConfig
from facemill.data.classes import SEVEN
from facemill.data.names import image_of
from facemill.data.shards import read_rows, write_shard
from facemill.data.splits import hash_fraction, held_out
from facemill.errors import UserError
from facemill.inference.editor import EditClassifier, Renderer, decoding_painter, mask_painter
from facemill.inference.painter import Painter
from facemill.inference.segmenter import Segmenter
from facemill.inference.vectors import Vectors
from facemill.latent.encode_latents import LATENT_SCHEMA
from facemill.latent.evaluate_attributes import (
    choose_classifier,
    evaluate_attributes,
    evaluate_vector,
    halves,
    render_unedited,
)
from facemill.latent.tag_portraits import TAG_SCHEMA
from facemill.latent.transitions import Edit
from facemill.latent.walk_latents import walk_latents
from facemill.networks.store import save_model
from facemill.networks.vae import Vae
from facemill.taggers.local import CollectionTagger, ColorTagger
from facemill.taggers.probes import THUMBNAIL, Probes

NAMES = ["black_hair", "grey_hair", "red_hair"]
NO_JUDGE = Probes({}, {})


def style(color: tuple[int, int, int]) -> np.ndarray:
    return np.array(color) / 127.5 - 1


def scores_of(renderer: Renderer, edits: list[Edit], target: str, *others, strength: float = 1) -> dict:
    """The scores of edits to a target; `others` are the vectors, the classifier and the judge."""
    unedited = render_unedited(renderer, [{target: edits}])
    return evaluate_vector(renderer, edits, unedited, target, *others, strength=strength)


def vectors_of(means: dict[str, np.ndarray]) -> Vectors:
    pairs = {(a, b): means[b] - means[a] for a in means for b in means if a != b}
    return Vectors({"hair_color": sorted(means)}, pairs, {})


@pytest.fixture
def means(hair_paint) -> dict[str, np.ndarray]:
    return {name: style(color) for name, color in hair_paint.items()}


class BlueUnet(torch.nn.Module):
    """Stands in for a U-Net: the last class where an image has much blue and little red, elsewhere background."""

    size = 32

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes, self.parameter = classes, torch.nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(images), self.classes, *images.shape[2:])
        logits[:, -1] = images[:, 2] - images[:, 0] - 0.2
        return logits


@pytest.fixture
def segmenter(classes) -> Segmenter:
    return Segmenter(BlueUnet(len(classes)), classes)


@pytest.fixture
def renderer(colorist, classes, mask, segmenter) -> Renderer:
    masks = {"a": mask, "b": mask}
    return Renderer(mask_painter(Painter(colorist, classes), masks), masks, classes, segmenter)


@pytest.fixture
def classifier(palette) -> EditClassifier:
    return EditClassifier(ColorTagger({"hair": palette}), "grey_hair", NAMES)


@pytest.fixture
def edited_to_grey(renderer, means, classifier):
    """The scores when a black-haired and a red-haired portrait are edited to grey."""
    codes = means

    def scores(means=means, more=(), renderer=renderer):
        sources = {"a": "black_hair", "b": "red_hair"}
        edits = [Edit(key, np.concatenate([codes[name], *more]), name) for key, name in sources.items()]
        return scores_of(renderer, edits, "grey_hair", vectors_of(means), classifier, NO_JUDGE)

    return scores


def test_a_perfect_edit_hits_and_moves_nothing_else(edited_to_grey):
    assert edited_to_grey() == {
        "success": 1.0,
        "before": 0.0,
        "drift": 0.0,
        "mask_iou": 1.0,
        "monotonicity": 1.0,
        "images": 2,
    }


def test_an_edit_that_stops_halfway_misses(edited_to_grey, means):
    assert edited_to_grey(means | {"grey_hair": (means["grey_hair"] + means["red_hair"]) / 2})["success"] == 0


def test_strength_multiplies_the_vector(renderer, means, classifier):
    short = vectors_of(means | {"grey_hair": 0.4 * means["grey_hair"] + 0.6 * means["black_hair"]})
    edits = [Edit("a", means["black_hair"], "black_hair")]
    scores = [
        scores_of(renderer, edits, "grey_hair", short, classifier, NO_JUDGE, strength=strength) for strength in (1, 2.5)
    ]
    assert [values["success"] for values in scores] == [0, 1]


def test_an_edit_that_leads_away_is_not_monotonic(renderer, means, classifier):
    edits = [Edit("a", means["grey_hair"], "black_hair")]
    away = Vectors({"hair_color": NAMES}, {("black_hair", "grey_hair"): means["red_hair"] - means["grey_hair"]}, {})
    scores = scores_of(renderer, edits, "grey_hair", away, classifier, NO_JUDGE)
    assert scores["monotonicity"] < 1 and scores["before"] == 1 and scores["success"] is None


def test_drift_is_the_mean_over_regions_of_the_share_that_moved(edited_to_grey, means):
    # the last three dimensions are the background's color: here one of two edits moves it, one of five regions
    green, brown = style((40, 160, 90)), style((120, 80, 40))
    means = {name: np.concatenate([mean, brown if name == "red_hair" else green]) for name, mean in means.items()}
    scores = edited_to_grey(means, [green])
    assert scores["drift"] == pytest.approx(1 / 2 / 5)
    assert scores["success"] == 1


def test_a_mask_that_changes_lowers_the_iou(edited_to_grey, means):
    green, blue = style((40, 160, 90)), style((20, 40, 200))
    means = {name: np.concatenate([mean, blue if name == "grey_hair" else green]) for name, mean in means.items()}
    assert edited_to_grey(means, [green])["mask_iou"] < 0.6


def test_absent_regions_do_not_drift(edited_to_grey, colorist, mask, classes):
    masks = dict.fromkeys("ab", np.full_like(mask, classes.names.index("hair")))
    only_hair = Renderer(mask_painter(Painter(colorist, classes), masks), masks, classes)
    scores = edited_to_grey(renderer=only_hair)
    assert scores["drift"] == 0 and scores["mask_iou"] is None


def test_success_counts_portraits_that_were_not_the_target_before(renderer, means, classifier):
    edits = [Edit("a", means["grey_hair"], "red_hair"), Edit("b", means["red_hair"], "red_hair")]
    nowhere = vectors_of(means | {"grey_hair": means["red_hair"]})
    scores = scores_of(renderer, edits, "grey_hair", nowhere, classifier, NO_JUDGE)
    assert (scores["success"], scores["before"]) == (0.0, 0.5)


def test_what_several_edits_share_is_painted_once_and_no_path_is_segmented(evaluate, segmenter, monkeypatch):
    segmented = []
    segment = segmenter.masks
    monkeypatch.setattr(segmenter, "masks", lambda images: segmented.append(len(images)) or segment(images))
    metrics, _ = evaluate()
    unedited, *edited = segmented
    edits = [scores["images"] for half in metrics.values() for scores in (half, half["choice"])]
    assert sorted(edited) == sorted(edits) and unedited < sum(edits)


def test_no_edits_have_no_scores(renderer, means, classifier):
    scores = scores_of(renderer, [], "grey_hair", vectors_of(means), classifier, NO_JUDGE)
    assert scores["images"] == 0 and scores["success"] is None


class Gray(torch.nn.Module):
    """Stands in for the VAE's decoder: the latent is the brightness of the left and of the right half."""

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return z[:, None, None, :].repeat_interleave(4, 3).expand(-1, 3, 8, -1)


@pytest.fixture
def probes() -> Probes:
    """Left is bright where it is above 0, and right likewise."""

    def brightness(images: list[np.ndarray]) -> np.ndarray:
        return np.array([[half.mean() / 127.5 - 1 for half in np.hsplit(image, 2)] for image in images])

    tensors = {f"{side}.weight": np.float32(9 * np.eye(2)[:, [i]]) for i, side in enumerate(("left", "right"))}
    return Probes({}, tensors | {f"{side}.bias": np.zeros(1, np.float32) for side in ("left", "right")}, brightness)


def test_booleans_are_added_and_removed_and_classified_by_probes(probes):
    renderer = Renderer(decoding_painter(Gray()))
    edits = [Edit("a", np.array([-0.5, 0.2]), False), Edit("b", np.array([0.5, -0.2]), True)]
    classifier = EditClassifier(probes, "left")
    straight = Vectors({}, {}, {"left": np.array([1.0, 0.0])})
    expected = {"success": 1.0, "before": 0.0, "drift": 0.0, "mask_iou": None, "monotonicity": 1.0, "images": 2}
    assert scores_of(renderer, edits, "left", straight, classifier, probes) == expected
    skew = Vectors({}, {}, {"left": np.array([1.0, -0.4])})  # added it darkens the right, removed it brightens it
    assert scores_of(renderer, edits, "left", skew, classifier, probes)["drift"] == 1


def test_the_classifier_is_another_source_than_that_of_the_labels(palette):
    taggers = {"color": ColorTagger({"hair": palette}), "wd14": CollectionTagger(["red_hair", "smile"])}
    assert choose_classifier("red_hair", "tags", taggers) == "color"
    assert choose_classifier("red_hair", "color", taggers) == "wd14"
    assert choose_classifier("grey_hair", "color", taggers) == "color"
    assert choose_classifier("smile", "tags", taggers) == "wd14"
    assert choose_classifier("left", "tags", taggers) == "judge"


@pytest.fixture
def options(collection, colorist, segmenter, classes, means, tmp_path, monkeypatch) -> dict:
    """Options of both doors for the collection; GauGAN and the U-Net are stand-ins."""

    def painter(model, table):
        table.check_same(classes, str(model))
        return Painter(colorist, table)

    monkeypatch.setattr(Painter, "load", painter)
    monkeypatch.setattr(Segmenter, "load", lambda unet, table: segmenter)
    latents, tags = [], []
    for path in collection["portraits"]:
        names = [(row["id"], row["tags"][0]) for row in read_rows([path])]
        latents.append(tmp_path / "latents" / path.name)
        tags.append(tmp_path / "tags" / path.name)
        write_shard(latents[-1], [{"id": row_id, "latent": means[name]} for row_id, name in names], LATENT_SCHEMA)
        shared = dict.fromkeys(TAG_SCHEMA.names) | {"hair": [50.0, 0.0, 0.0], "tags": [], "hair_color_source": "tags"}
        write_shard(tags[-1], [shared | {"id": row_id, "hair_color": name} for row_id, name in names], TAG_SCHEMA)
    vectors_of(means).save(tmp_path / "vectors.safetensors", dict.fromkeys(means, 20), {})
    arguments = {"size": 32, "z_dim": 3, "width": 4}
    save_model(tmp_path / "vae/model.safetensors", Vae(**arguments), arguments, {})
    return {
        "vectors": tmp_path / "vectors.safetensors",
        "vae": tmp_path / "vae",
        "gaugan": tmp_path / "gaugan",
        "latents": latents,
        "tags": tags,
        "pseudo_labels": collection["pseudo_labels"],
        "strength": 1,
        "steps": 3,
        "holdout": 0.4,
        "seed": 1,
    }


@pytest.fixture
def evaluate(options, collection, hair_paint, tmp_path):
    """Runs `evaluate_attributes` with changed options; returns the metrics and the picture."""
    weights = np.zeros((3 * THUMBNAIL**2, 3), np.float32)  # all hair is judged to be red
    tensors = {"hair_color.weight": weights, "hair_color.bias": np.float32([0, 0, 1])}
    Probes({"hair_color": NAMES}, tensors).save(tmp_path / "judge.safetensors")

    def run(**changed) -> tuple[dict, Image.Image]:
        colors = {name: ["#" + bytes(color).hex()] for name, color in hair_paint.items()}
        files = {
            "judge": tmp_path / "judge.safetensors",
            "portraits": collection["portraits"],
            "unet": tmp_path / "unet",
            "eval_portraits": 4,
            "tags_config": TagsConfig(sources=["tags", "color"], hair_colors=colors),
            "metrics": tmp_path / "metrics.json",
            "transitions": tmp_path / "transitions.png",
            "animation": tmp_path / "transitions.webp",
        }
        evaluate_attributes(**options | files | changed)
        return json.loads((tmp_path / "metrics.json").read_text()), Image.open(tmp_path / "transitions.png")

    return run


@pytest.mark.parametrize("classes", [SEVEN, EIGHT])
def test_evaluate_attributes_writes_metrics_and_transitions(evaluate, hair_paint, classes, tmp_path):
    metrics, picture = evaluate()
    assert metrics.keys() == hair_paint.keys()
    perfect = {"success": 1.0, "before": 0.0, "drift": 0.0, "mask_iou": 1.0, "monotonicity": 1, "images": 4}
    for scores in metrics.values():
        assert scores.pop("choice") | {"monotonicity": 1} == perfect
        assert scores | {"monotonicity": 1} == perfect | {"labels": "tags", "classifier": "color"}
    assert picture.height > 3 * 128  # three colors, three rows; a portrait and three steps in each
    assert 4 * 128 < picture.width < 6 * 128 + 60
    with Image.open(tmp_path / "transitions.webp") as animation:
        assert animation.n_frames == 4  # three steps there, one back


def test_only_held_out_portraits_are_edited(evaluate, hair_paint):
    names = list(hair_paint)
    ids = [str(n) for n in range(100, 160) if held_out(str(n), 0.3)]
    metrics, _ = evaluate(holdout=0.3, eval_portraits=100, steps=2)
    choice = [names[int(i) % 3] for i in ids if hash_fraction(i, "choice") < 0.5]
    reported = [names[int(i) % 3] for i in ids if hash_fraction(i, "choice") >= 0.5]
    assert min(len(choice), len(reported)) > 5
    for name, scores in metrics.items():
        assert scores["images"] == len(reported) - reported.count(name)
        assert scores["choice"]["images"] == len(choice) - choice.count(name)


def test_no_image_is_in_both_halves():
    rows = [{"id": f"{n}{face}"} for n in range(100) for face in ("", "#2")]
    choice, reported = halves(rows)
    assert len(choice) + len(reported) == 200 and min(len(choice), len(reported)) > 60
    assert not {image_of(row["id"]) for row in choice} & {image_of(row["id"]) for row in reported}


def test_edits_that_no_tagger_classifies_are_judged_by_the_judge(evaluate, hair_paint):
    colors = {name: ["#" + bytes(color).hex()] for name, color in hair_paint.items()}
    metrics, _ = evaluate(tags_config=TagsConfig(sources=["tags"], hair_colors=colors))
    assert {scores["classifier"] for scores in metrics.values()} == {"judge"}
    assert {name: scores["before"] for name, scores in metrics.items()} == dict.fromkeys(NAMES, 0) | {"red_hair": 1}
    assert (metrics["grey_hair"]["success"], metrics["red_hair"]["success"]) == (0, None)


@pytest.mark.parametrize("holdout", [0.0, 0.015])
def test_a_half_without_held_out_portraits_is_one_line(evaluate, holdout):
    with pytest.raises(UserError, match=f"holdout: found {holdout}, which leaves . portraits, and in one half of them"):
        evaluate(holdout=holdout)


@pytest.mark.parametrize("masked", [True, False])
def test_walk_latents_draws_sliders_walks_and_interpolations(options, tmp_path, masked):
    names = ["sliders.png", "walks.png", "walks.webp", "interpolations.png", "interpolations.webp"]
    keys = ["sliders", "walks", "walks_animation", "interpolations", "interpolations_animation"]
    without = {} if masked else {"gaugan": None, "pseudo_labels": None}
    walk_latents(**options | dict(zip(keys, (tmp_path / name for name in names), strict=True)) | without)
    pictures = {name: Image.open(tmp_path / name) for name in names}
    assert pictures["sliders.png"].height > 3 * 96 and pictures["sliders.png"].width > 6 * 96  # three pairs
    assert pictures["walks.png"].height > 4 * 128 and pictures["interpolations.png"].width > 3 * 128
    if masked:  # what the untrained VAE paints hardly changes, and equal frames are stored once
        assert pictures["walks.webp"].n_frames == 48 and pictures["interpolations.webp"].n_frames == 16
