"""Edits along vectors with a generator whose style code is the hair's colour: what is measured and shown is known."""

import json

import numpy as np
import pytest
from PIL import Image

from facemill.classes import BACKGROUND, HAIR
from facemill.colors import REGIONS
from facemill.config import Attributes, Tags
from facemill.errors import BadInput
from facemill.latent.attributes import save_vectors
from facemill.latent.colors import COLOR_SCHEMA
from facemill.latent.editing import Styled, choose_transitions, measure_edits, transition, try_vectors
from facemill.latent.latents import LATENT_SCHEMA
from facemill.shards import read_rows, write_shard
from facemill.splits import held_out


def code(color: tuple[int, int, int]) -> np.ndarray:
    return np.array(color) / 127.5 - 1


@pytest.fixture
def means(hair_paint) -> dict[str, np.ndarray]:
    return {name: code(color) for name, color in hair_paint.items()}


@pytest.fixture
def portraits(hair_paint, mask) -> list[Styled]:
    return [Styled(name, mask, code(color)) for name, color in hair_paint.items() if name != "grey_hair"]


def edited_to_grey(generator, portraits: list[Styled], means, palette) -> dict:
    named = {str(number): portrait for number, portrait in enumerate(portraits)}
    return try_vectors(generator, named, {"grey_hair": list(named)}, means, palette)["grey_hair"]


def test_a_perfect_edit_hits_and_moves_nothing_else(colorist, portraits, means, palette):
    figures = edited_to_grey(colorist, portraits, means, palette)
    assert figures == {"success": 1.0, "before": 0.0, "drift": 0.0, "images": 2}


def test_an_edit_that_stops_halfway_misses(colorist, portraits, means, palette):
    means["grey_hair"] = (means["grey_hair"] + means["red_hair"]) / 2
    assert edited_to_grey(colorist, portraits, means, palette)["success"] == 0


def test_each_colour_is_tried_on_its_own_portraits(colorist, portraits, means, palette):
    named = {"a": portraits[0], "b": portraits[1]}
    figures = try_vectors(
        colorist, named, {"grey_hair": ["a", "b"], "black_hair": ["b"], "red_hair": []}, means, palette
    )
    assert {name: (of["success"], of["images"]) for name, of in figures.items()} == {
        "grey_hair": (1.0, 2),
        "black_hair": (1.0, 1),
        "red_hair": (None, 0),
    }


def test_drift_is_the_mean_over_regions_of_the_share_that_moved(colorist, portraits, means, palette):
    # the last three dimensions are the background's colour: here one of two edits moves it, one of five regions
    green, brown = code((40, 160, 90)), code((120, 80, 40))
    means = {name: np.concatenate([mean, brown if name == "red_hair" else green]) for name, mean in means.items()}
    longer = [Styled(p.hair_color, p.mask, np.concatenate([p.latent, green])) for p in portraits]
    figures = edited_to_grey(colorist, longer, means, palette)
    assert figures["drift"] == pytest.approx(1 / 2 / 5)
    assert figures["success"] == 1


def test_regions_that_are_not_there_do_not_drift(colorist, portraits, means, palette):
    hair_alone = [Styled(p.hair_color, np.full_like(p.mask, HAIR), p.latent) for p in portraits]
    assert edited_to_grey(colorist, hair_alone, means, palette)["drift"] == 0


def test_success_is_measured_against_what_was_there_before(palette):
    grey, red = {name: palette[name][-1] for name in ("grey_hair", "red_hair")}.values()
    before = [{region: None for region in REGIONS} | {"hair": color} for color in (grey, red, red, red)]
    after = [{region: None for region in REGIONS} | {"hair": color} for color in (grey, grey, grey, red)]
    figures = measure_edits(before, after, "grey_hair", palette)
    assert figures == {"success": 0.75, "before": 0.25, "drift": 0.0, "images": 4}


def test_a_transition_goes_straight_from_one_colour_to_the_other(colorist, mask):
    portrait = Styled("black_hair", mask, code((0, 0, 0)))
    pictures = transition(colorist, portrait, code((200, 100, 0)) - code((0, 0, 0)), steps=5)
    hair = [picture[mask == HAIR][0].tolist() for picture in pictures]
    assert hair == [[0, 0, 0], [50, 25, 0], [100, 50, 0], [150, 75, 0], [200, 100, 0]]
    assert len({picture[mask == BACKGROUND].tobytes() for picture in pictures}) == 1


def test_black_to_silver_comes_first(palette):
    own = {"1": "red_hair", "2": "grey_hair", "3": "black_hair", "4": "red_hair", "5": "black_hair"}
    names = ["black_hair", "grey_hair", "red_hair"]
    assert choose_transitions(own, names, palette, 8) == [("3", "grey_hair"), ("1", "black_hair"), ("2", "red_hair")]
    assert choose_transitions(own, names, palette, 2) == [("3", "grey_hair"), ("1", "black_hair")]


def test_without_dark_hair_there_are_other_transitions(palette):
    assert choose_transitions({"1": "red_hair"}, ["black_hair", "red_hair"], palette, 8) == [("1", "black_hair")]


@pytest.fixture
def evaluate(script, collection, colorist, hair_paint, means, tmp_path):
    """Runs `evaluate_attributes` on the collection, with the stand-in as GauGAN."""
    latents, colors = [], []
    for path in collection["portraits"]:
        names = [(row["id"], row["tags"][0]) for row in read_rows([path])]
        latents.append(tmp_path / "latents" / path.name)
        colors.append(tmp_path / "colors" / path.name)
        write_shard(latents[-1], [{"id": id, "latent": means[name]} for id, name in names], LATENT_SCHEMA)
        rows = [{"id": id, "hair_color": name, "hair": [50.0, 0.0, 0.0]} for id, name in names]
        write_shard(colors[-1], rows, COLOR_SCHEMA)
    save_vectors(tmp_path / "vectors.safetensors", means, dict.fromkeys(means, 20))
    main = script("evaluate_attributes")
    main.__globals__["load_model"] = lambda kind, path: colorist

    def run(**changed):
        main(
            **{
                "vectors": tmp_path / "vectors.safetensors",
                "gaugan": tmp_path / "gaugan",
                "latents": latents,
                "colors": colors,
                "pseudo_labels": collection["pseudo_labels"],
                "portraits": collection["portraits"],
                "settings": Attributes(min_images=2, edited=4, steps=3),
                "tags": Tags(source="color", hair_colors={n: ["#" + bytes(c).hex()] for n, c in hair_paint.items()}),
                "holdout": 0.4,
                "seed": 1,
                "metrics": tmp_path / "metrics.json",
                "transitions": tmp_path / "transitions.png",
            }
            | changed
        )
        return json.loads((tmp_path / "metrics.json").read_text()), Image.open(tmp_path / "transitions.png")

    return run


def test_evaluate_attributes_writes_metrics_and_transitions(evaluate, hair_paint):
    figures, picture = evaluate()
    assert figures.keys() == hair_paint.keys()
    assert all(of == {"success": 1.0, "before": 0.0, "drift": 0.0, "images": 4} for of in figures.values())
    assert picture.height > 3 * 128  # three colours, three rows; a portrait and three steps in each
    assert 4 * 128 < picture.width < 6 * 128 + 60


def test_only_held_out_portraits_are_edited(evaluate, hair_paint):
    names = list(hair_paint)
    held = [names[n % 3] for n in range(100, 160) if held_out(str(n), 0.1)]
    assert 0 < len(held) < 20
    figures, _ = evaluate(holdout=0.1, settings=Attributes(min_images=2, edited=100, steps=2))
    assert {name: of["images"] for name, of in figures.items()} == {
        name: len(held) - held.count(name) for name in names
    }


def test_nothing_held_out_is_one_line(evaluate):
    with pytest.raises(BadInput, match="holdout: found 0"):
        evaluate(holdout=0.0)
