"""Edits along vectors with a generator whose style code is the hair's color: what is measured and shown is known."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from facemill.config.latent import TagsConfig
from facemill.data.classes import BACKGROUND, HAIR
from facemill.data.shards import read_rows, write_shard
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.inference.editor import (
    Edit,
    Judge,
    Studio,
    along,
    choose_transitions,
    decoding_painter,
    judge_of,
    mask_painter,
    try_vector,
)
from facemill.latent.attribute_vectors import Vectors, save_vectors
from facemill.latent.encode_latents import LATENT_SCHEMA
from facemill.latent.probe_latents import Probes, save_probes
from facemill.latent.tag_portraits import TAG_SCHEMA
from facemill.networks.store import save_model
from facemill.networks.vae import Vae
from facemill.taggers.local import CollectionTagger, ColorTagger

NAMES = ["black_hair", "grey_hair", "red_hair"]
NO_PROBES = Probes({}, {})


def code(color: tuple[int, int, int]) -> np.ndarray:
    return np.array(color) / 127.5 - 1


def vectors_of(means: dict[str, np.ndarray]) -> Vectors:
    pairs = {(a, b): means[b] - means[a] for a in means for b in means if a != b}
    return Vectors({"hair_color": sorted(means)}, pairs, {})


@pytest.fixture
def means(hair_paint) -> dict[str, np.ndarray]:
    return {name: code(color) for name, color in hair_paint.items()}


class Segmenter(torch.nn.Module):
    """Stands in for a U-Net: sees clothes wherever there is much blue and little red, else background."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(images), 7, *images.shape[2:])
        logits[:, 6] = images[:, 2] - images[:, 0] - 0.2
        return logits


@pytest.fixture
def studio(colorist, mask) -> Studio:
    masks = {"a": mask, "b": mask}
    return Studio(mask_painter(colorist, masks), masks, Segmenter())


@pytest.fixture
def edited_to_grey(studio, means, palette):
    """What is measured when a black-haired and a red-haired portrait are turned grey."""

    def measured(means=means, more=(), studio=studio):
        judge = Judge(ColorTagger({"hair": palette}), "grey_hair", NAMES)
        own = {"a": "black_hair", "b": "red_hair"}
        edits = [Edit(id, np.concatenate([code_of[name], *more]), name) for id, name in own.items()]
        return try_vector(studio, edits, "grey_hair", vectors_of(means), judge, NO_PROBES, strength=1, along=2)

    code_of = means
    return measured


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


def test_strength_multiplies_the_vector(studio, means, palette):
    short = vectors_of(means | {"grey_hair": 0.4 * means["grey_hair"] + 0.6 * means["black_hair"]})
    judge, edits = Judge(ColorTagger({"hair": palette}), "grey_hair", NAMES), [Edit("a", means["black_hair"], NAMES[0])]
    found = [
        try_vector(studio, edits, "grey_hair", short, judge, NO_PROBES, strength=s, along=1)["success"]
        for s in (1, 2.5)
    ]
    assert found == [0, 1]


def test_an_edit_that_leads_away_is_not_monotonous(studio, means, palette):
    judge, edits = Judge(ColorTagger({"hair": palette}), "grey_hair", NAMES), [Edit("a", means["grey_hair"], NAMES[0])]
    away = Vectors({"hair_color": NAMES}, {("black_hair", "grey_hair"): means["red_hair"] - means["grey_hair"]}, {})
    figures = try_vector(studio, edits, "grey_hair", away, judge, NO_PROBES, strength=1, along=1)
    assert figures["monotonicity"] < 1 and figures["before"] == 1 and figures["success"] is None


def test_drift_is_the_mean_over_regions_of_the_share_that_moved(edited_to_grey, means):
    # the last three dimensions are the background's color: here one of two edits moves it, one of five regions
    green, brown = code((40, 160, 90)), code((120, 80, 40))
    means = {name: np.concatenate([mean, brown if name == "red_hair" else green]) for name, mean in means.items()}
    figures = edited_to_grey(means, [green])
    assert figures["drift"] == pytest.approx(1 / 2 / 5)
    assert figures["success"] == 1


def test_a_mask_that_is_not_kept_shows(edited_to_grey, means):
    green, blue = code((40, 160, 90)), code((20, 40, 200))
    means = {name: np.concatenate([mean, blue if name == "grey_hair" else green]) for name, mean in means.items()}
    assert edited_to_grey(means, [green])["mask_iou"] < 0.6


def test_regions_that_are_not_there_do_not_drift(edited_to_grey, colorist, mask):
    masks = dict.fromkeys("ab", np.full_like(mask, HAIR))
    assert edited_to_grey(studio=Studio(mask_painter(colorist, masks), masks, None))["drift"] == 0


def test_success_counts_what_was_not_there_before(studio, means, palette):
    judge = Judge(ColorTagger({"hair": palette}), "grey_hair", NAMES)
    edits = [Edit("a", means["grey_hair"], "red_hair"), Edit("b", means["red_hair"], "red_hair")]
    nowhere = vectors_of(means | {"grey_hair": means["red_hair"]})
    figures = try_vector(studio, edits, "grey_hair", nowhere, judge, NO_PROBES, strength=1, along=2)
    assert (figures["success"], figures["before"]) == (0.0, 0.5)


def test_nothing_to_edit_is_measured_as_nothing(studio, means, palette):
    judge = Judge(ColorTagger({"hair": palette}), "grey_hair", NAMES)
    figures = try_vector(studio, [], "grey_hair", vectors_of(means), judge, NO_PROBES, strength=1, along=2)
    assert figures["images"] == 0 and figures["success"] is None


class Gray(torch.nn.Module):
    """Stands in for the VAE: the latent is the image's brightness on its left and on its right."""

    def encode(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        halves = images.mean(1).unflatten(2, (2, -1)).mean((1, 3))
        return halves, torch.zeros_like(halves)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return z[:, None, None, :].repeat_interleave(4, 3).expand(-1, 3, 8, -1)


@pytest.fixture
def probes() -> Probes:
    """Left is bright where it is above 0, and right likewise."""
    tensors = {f"{side}.weight": np.float32(9 * np.eye(2)[:, [i]]) for i, side in enumerate(("left", "right"))}
    return Probes({}, tensors | {f"{side}.bias": np.zeros(1, np.float32) for side in ("left", "right")}, Gray())


def test_booleans_are_added_and_taken_away_and_judged_by_probes(probes):
    studio = Studio(decoding_painter(Gray()), {}, None)
    edits = [Edit("a", np.array([-0.5, 0.2]), False), Edit("b", np.array([0.5, -0.2]), True)]
    judge = Judge(probes, "left", [])
    straight = Vectors({}, {}, {"left": np.array([1.0, 0.0])})
    expected = {"success": 1.0, "before": 0.0, "drift": 0.0, "mask_iou": None, "monotonicity": 1.0, "images": 2}
    assert try_vector(studio, edits, "left", straight, judge, probes, strength=1, along=2) == expected
    skew = Vectors({}, {}, {"left": np.array([1.0, -0.4])})  # it turns the right dark, and bright when taken away
    assert try_vector(studio, edits, "left", skew, judge, probes, strength=1, along=2)["drift"] == 1


def test_a_judge_is_another_than_gave_the_labels(palette, probes):
    judges = {"color": ColorTagger({"hair": palette}), "wd14": CollectionTagger(["red_hair", "smile"])}
    assert judge_of("red_hair", "tags", judges, probes) == "color"
    assert judge_of("red_hair", "color", judges, probes) == "wd14"
    assert judge_of("grey_hair", "color", judges, probes) == "color"
    assert judge_of("smile", "tags", judges, probes) == "wd14"
    assert judge_of("left", "tags", judges, probes) == "probe"


def test_a_transition_goes_straight_from_one_color_to_the_other(studio, mask):
    start = code((0, 0, 0))
    pictures = along(studio.painter, "a", start, code((200, 100, 0)) - start, np.linspace(0, 1, 5))
    hair = [picture[mask == HAIR][0].tolist() for picture in pictures]
    assert hair == [[0, 0, 0], [50, 25, 0], [100, 50, 0], [150, 75, 0], [200, 100, 0]]
    assert len({picture[mask == BACKGROUND].tobytes() for picture in pictures}) == 1


def test_black_to_silver_comes_first(palette):
    own = {"1": "red_hair", "2": "grey_hair", "3": "black_hair", "4": "red_hair", "5": "black_hair"}
    assert choose_transitions(own, NAMES, palette, 8) == [("3", "grey_hair"), ("1", "black_hair"), ("2", "red_hair")]
    assert choose_transitions(own, NAMES, palette, 2) == [("3", "grey_hair"), ("1", "black_hair")]


def test_without_dark_hair_there_are_other_transitions(palette):
    assert choose_transitions({"1": "red_hair"}, ["black_hair", "red_hair"], palette, 8) == [("1", "black_hair")]


@pytest.fixture
def commands(script, collection, colorist, hair_paint, means, tmp_path):
    """Runs `evaluate_attributes` or `walk_latents` on the collection, with stand-ins for GauGAN and the U-Net."""
    latents, tags = [], []
    for path in collection["portraits"]:
        names = [(row["id"], row["tags"][0]) for row in read_rows([path])]
        latents.append(tmp_path / "latents" / path.name)
        tags.append(tmp_path / "tags" / path.name)
        write_shard(latents[-1], [{"id": id, "latent": means[name]} for id, name in names], LATENT_SCHEMA)
        some = {"hair": [50.0, 0.0, 0.0], "tags": [], "hair_color_source": "tags"}
        rows = [dict.fromkeys(TAG_SCHEMA.names) | some | {"id": id, "hair_color": name} for id, name in names]
        write_shard(tags[-1], rows, TAG_SCHEMA)
    save_vectors(tmp_path / "vectors.safetensors", vectors_of(means), dict.fromkeys(means, 20), {})
    tensors = {"hair_color.weight": np.ones((3, 3), np.float32), "hair_color.bias": np.zeros(3, np.float32)}
    save_probes(tmp_path / "probes.safetensors", Probes({"hair_color": NAMES}, tensors))
    arguments = {"size": 32, "z_dim": 3, "width": 4}
    save_model(tmp_path / "vae/model.safetensors", Vae(**arguments), arguments, {})
    shared = {
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

    def run(name: str, **more) -> None:
        main = script(name)
        load = main.__globals__["load_model"]
        stand_ins = {"Generator": colorist, "Unet": Segmenter()}
        main.__globals__["load_model"] = lambda kind, path: stand_ins.get(kind.__name__) or load(kind, path)
        main(**shared | more)

    return run


@pytest.fixture
def evaluate(commands, collection, hair_paint, tmp_path):
    def run(**changed) -> tuple[dict, Image.Image]:
        palette = {name: ["#" + bytes(color).hex()] for name, color in hair_paint.items()}
        files = {
            "probes": tmp_path / "probes.safetensors",
            "portraits": collection["portraits"],
            "unet": tmp_path / "unet",
            "eval_portraits": 4,
            "settings": TagsConfig(sources=["tags", "color"], hair_colors=palette),
            "metrics": tmp_path / "metrics.json",
            "transitions": tmp_path / "transitions.png",
            "animation": tmp_path / "transitions.webp",
        }
        commands("evaluate_attributes", **files | changed)
        return json.loads((tmp_path / "metrics.json").read_text()), Image.open(tmp_path / "transitions.png")

    return run


def test_evaluate_attributes_writes_metrics_and_transitions(evaluate, hair_paint, tmp_path):
    figures, picture = evaluate()
    assert figures.keys() == hair_paint.keys()
    for of in figures.values():
        assert of | {"monotonicity": 1} == {
            "success": 1.0,
            "before": 0.0,
            "drift": 0.0,
            "mask_iou": 1.0,
            "monotonicity": 1,
            "images": 4,
            "labels": "tags",
            "judge": "color",
        }
    assert picture.height > 3 * 128  # three colors, three rows; a portrait and three steps in each
    assert 4 * 128 < picture.width < 6 * 128 + 60
    with Image.open(tmp_path / "transitions.webp") as animation:
        assert animation.n_frames == 4  # three steps there, one back


def test_only_held_out_portraits_are_edited(evaluate, hair_paint):
    names = list(hair_paint)
    held = [names[n % 3] for n in range(100, 160) if held_out(str(n), 0.1)]
    assert 0 < len(held) < 20
    figures, _ = evaluate(holdout=0.1, eval_portraits=100, steps=2)
    assert {name: of["images"] for name, of in figures.items()} == {
        name: len(held) - held.count(name) for name in names
    }


def test_nothing_held_out_is_one_line(evaluate):
    with pytest.raises(UserError, match="holdout: found 0"):
        evaluate(holdout=0.0)


@pytest.mark.parametrize("masked", [True, False])
def test_walk_latents_draws_sliders_walks_and_lines(commands, tmp_path, masked):
    names = ["sliders.png", "walks.png", "walks.webp", "interpolations.png", "interpolations.webp"]
    keys = ["sliders", "walks", "walks_animation", "interpolations", "interpolations_animation"]
    without = {} if masked else {"gaugan": None, "pseudo_labels": None}
    commands("walk_latents", **dict(zip(keys, (tmp_path / name for name in names), strict=True)), **without)
    pictures = {name: Image.open(tmp_path / name) for name in names}
    assert pictures["sliders.png"].height > 3 * 96 and pictures["sliders.png"].width > 6 * 96  # three pairs
    assert pictures["walks.png"].height > 4 * 128 and pictures["interpolations.png"].width > 3 * 128
    if masked:  # what the untrained VAE paints hardly changes, and equal frames are stored once
        assert pictures["walks.webp"].n_frames == 48 and pictures["interpolations.webp"].n_frames == 16
