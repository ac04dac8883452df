"""Portraits of seeds by the command line: conditions, centers, and bad input."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers.stylegan import pixels

from facemill.data.shards import write_shard
from facemill.inference.sampler import Sampler
from facemill.stylegan.recipes import Recipe, RecipePainter

CONDITIONS = {"hair_color": ["black_hair", "red_hair"], "smile": ["smile"]}


def test_a_seeds_portrait_does_not_depend_on_the_others(sampled, command, tmp_path):
    model, first = sampled
    assert sorted(path.name for path in first.iterdir()) == [f"seed-00000{seed}.png" for seed in range(6)]
    assert (
        command("sample_portraits", "--model", model / "model.safetensors", "--seeds", "4", "--out", tmp_path) is None
    )
    assert (tmp_path / "seed-000004.png").read_bytes() == (first / "seed-000004.png").read_bytes()
    assert len({path.read_bytes() for path in first.iterdir()}) == 6
    sampler = Sampler.load(model)
    expected = sampler.generate(sampler.truncated([4], 0.7))[0]
    assert np.abs(pixels(tmp_path / "seed-000004.png").astype(int) - expected).max() <= 1


def test_truncation_leads_to_the_center(save_generator, command, tmp_path, caplog):
    model = save_generator(conditions=CONDITIONS)
    painter = RecipePainter.load(model)
    for name, words in {
        "mean": ["--truncation", 0, "--condition", "red_hair", "smile=none"],
        "same": ["--truncation", 1, "--center", "black_hair", "--condition", "red_hair", "smile=none"],
        "other": ["--truncation", 0, "--center", "black_hair", "--condition", "red_hair", "smile=none"],
    }.items():
        assert command("sample_portraits", "--model", model, "--seeds", "3,8", *words, "--out", tmp_path / name) is None
    styles = {
        name: torch.stack([painter.read(tmp_path / name / f"seed-00000{seed}.png")[0] for seed in (3, 8)])
        for name in ("mean", "same", "other")
    }
    centers = painter.sampler.centers(torch.tensor([[1, 1], [0, 1]]))
    torch.testing.assert_close(styles["mean"], centers[[0, 0]])
    torch.testing.assert_close(styles["other"], centers[[1, 1]])
    slots = torch.tensor([[1, 1], [1, 1]])
    torch.testing.assert_close(styles["same"], painter.sampler.styles(painter.sampler.codes([3, 8]), slots).cpu())
    assert "drawn for each seed" not in caplog.text
    assert command("sample_portraits", "--model", model, "--seeds", 1, "--truncation", 1.8, "--out", tmp_path) is None
    assert "hair_color, smile: drawn for each seed" in caplog.text and "--truncation 1.8: styles beyond" in caplog.text
    names = Recipe.read(tmp_path / "seed-000001.png").made["condition"]
    assert names in ({"hair_color": "black_hair", "smile": "smile"}, {"hair_color": "red_hair", "smile": "none"})


@pytest.fixture
def tagged(save_generator, tmp_path):
    """A function that writes six generated portraits, with their tags, beside a model; returns the model."""

    def write(generator: str = "stylegan", rejected: int = 0) -> Path:
        """Of the portraits of a generator the first are rejected; all have red hair, seeds 0 to 2 a smile."""
        model, other = save_generator(), save_generator(generator, seed=0 if generator == "stylegan" else 1)
        styles = Sampler.load(other).truncated(range(6), 0.7).numpy()
        rows = [{"id": f"seed-{i:06}", "seed": i, "w": w, "rejected": None} for i, w in enumerate(styles)]
        for row in rows[:rejected]:
            row["rejected"] = "unsure"
        groups = {"hair_color": "red_hair", "skin_color": None, "eye_color": None}
        tags = [{"id": row["id"], "tags": ["smile"] if i < 3 else []} | groups for i, row in enumerate(rows)]
        text = pa.string()
        columns = [("id", text), ("seed", pa.int64()), ("w", pa.list_(pa.float32())), ("rejected", text)]
        of_tags = pa.schema([("id", text), ("tags", pa.list_(text)), *((group, text) for group in groups)])
        write_shard(tmp_path / "generated/shard-0000.parquet", rows, pa.schema(columns))
        write_shard(tmp_path / "generated_tags/shard-0000.parquet", tags, of_tags)
        return model

    return write


def test_a_model_without_conditions_has_the_centers_of_accepted_generated_portraits(tagged, command, tmp_path):
    model = tagged(rejected=1)
    sampler = Sampler.load(model)
    for name, seeds in {"smile": [1, 2], "red_hair": range(1, 6)}.items():
        words = ["--seeds", 3, "--truncation", 0, "--center", name, "--out", tmp_path / name]
        assert command("sample_portraits", "--model", model, *words) is None
        styles, made = RecipePainter.load(model).read(tmp_path / name / "seed-000003.png")
        torch.testing.assert_close(styles, sampler.truncated(seeds, 1).mean(0))  # not the mean of the truncated ones
        assert made["center"] == name
    said = command("sample_portraits", "--model", model, "--seeds", 3, "--center", "x", "--out", tmp_path / "x")
    assert said == f"sample_portraits.py: --center x; accepted, of {tmp_path / 'generated'}: red_hair, smile"


def test_centers_are_only_those_of_this_models_portraits(tagged, command, tmp_path):
    words = ["--model", tagged("another"), "--seeds", 3, "--center", "smile", "--out", tmp_path / "out"]
    said = command("sample_portraits", *words)
    assert said.startswith("sample_portraits.py: --center smile: another model generated the portraits in ")
    assert "\n" not in said and not (tmp_path / "out").exists()


@pytest.mark.parametrize("count", [3, 6])
def test_names_of_rejected_portraits_are_no_centers(tagged, command, tmp_path, count):
    words = ["--model", tagged(rejected=count), "--seeds", 3, "--center", "smile", "--out", tmp_path / "out"]
    known = {3: "red_hair", 6: "none has any"}[count]
    assert command("sample_portraits", *words).endswith(f"accepted, of {tmp_path / 'generated'}: {known}")


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--seeds", "5-2"], "--seeds 5-2: found '5-2'; accepted: 0 to .*, as 1,5,9 or 0-7"),
        (["--seeds", "-1"], "--seeds -1: found '-1'; accepted: 0 to"),
        (["--seeds", "1,x"], "--seeds 1,x: found 'x'; accepted: 0 to"),
        (["--seeds", "1,"], "--seeds 1,: found ''; accepted: 0 to"),
        (["--seeds", 2**32], "found '4294967296'; accepted: 0 to 4294967295"),
        (["--seeds", "0-10000000"], "--seeds 0-10000000: more than 100000 numbers; accepted: 100000 at once"),
        (["--seeds", "0-99999", "100000"], "more than 100000 numbers"),
        (["--seeds", "1", "--truncation", "-1"], r"--truncation -1; accepted: 0 \(the mean portrait\) to 2"),
        (["--seeds", "1", "--truncation", "5"], "--truncation 5; accepted"),
        (["--seeds", "1", "--truncation", "nan"], "--truncation nan; accepted"),
        (
            ["--seeds", "1", "--condition", "blue_hair"],
            "--condition blue_hair; accepted: a model that was trained with",
        ),
        (
            ["--seeds", "1", "--center", "blue_hair"],
            "--center blue_hair: found no .*/generated or .*/generated_tags; accepted: a model that was trained with",
        ),
        (["--seeds", "1", "--masks"], "--masks, --unet: found --masks alone; accepted: both"),
        (["--seeds", "0-2500", "--grid"], "--grid: found 2501 portraits; accepted: 2500 at most"),
        ([], "--seeds, --images: found neither; accepted: one of them"),
        (["--seeds", "1", "--condition"], "--condition: found nothing; accepted: names, such as hair_color=blue_hair"),
        (["--images", ".", "--truncation", "1"], "--truncation, --condition, --center: accepted with --seeds alone"),
    ],
)
def test_what_cannot_be_sampled_is_one_line(save_generator, command, tmp_path, words, fault):
    said = command("sample_portraits", "--model", save_generator(), "--out", tmp_path / "out", *words)
    assert said and "\n" not in said
    assert re.search(fault, said), said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (
            ["--condition", "blue_hair"],
            "--condition blue_hair; accepted: hair_color=black_hair|red_hair|none, smile=smile|none",
        ),
        (["--condition", "smile=red_hair"], "--condition smile=red_hair; accepted: hair_color=black_hair"),
        (["--condition", "none"], "--condition none; accepted: hair_color=black_hair"),
        (["--condition", "red_hair", "black_hair"], "--condition red_hair black_hair: two names of one group"),
        (["--center", "x"], "--center x; accepted: hair_color=black_hair"),
    ],
)
def test_names_that_the_model_does_not_know_are_refused_with_those_it_knows(
    save_generator, command, tmp_path, words, fault
):
    model = save_generator(conditions=CONDITIONS)
    said = command("sample_portraits", "--model", model, "--seeds", 1, "--out", tmp_path / "out", *words)
    assert said.startswith(f"sample_portraits.py: {fault}") and "\n" not in said


def test_files_that_cannot_be_painted_again_are_listed(sampled, command, tmp_path):
    model, images = sampled
    content = (images / "seed-000000.png").read_bytes()
    (images / "seed-000001.PNG").write_bytes(content)  # beside seed-000001.png
    (images / "cut.png").write_bytes(content[:-20])
    (images / "text.png").write_bytes(b"no image")
    said = command("sample_portraits", "--model", model, "--images", images, "--out", tmp_path / "b")
    assert said.splitlines()[0] == "sample_portraits.py: 3 PNGs are not painted again:"
    assert "seed-000001.png: its portrait would replace that of seed-000001.png" in said
    assert (
        "cut.png: cannot be read (a PNG that is cut short)" in said and "text.png: cannot be read (not a PNG)" in said
    )
    assert (tmp_path / "b/seed-000001.png").read_bytes() == content
    assert len(list((tmp_path / "b").iterdir())) == 6
