"""How near projections come: what the evaluation writes, with masks and without, for squares and rectangles."""

import json

import numpy as np
import pytest
import torch
from helpers.scenes import save_varied_unet
from helpers.stylegan import write_collection
from helpers.vgg import write_vgg

from facemill.config.stylegan import ProjectionConfig
from facemill.data.shards import decode_image, read_rows
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.inference.sampler import Sampler
from facemill.networks.store import save_model
from facemill.networks.vae import Vae
from facemill.stylegan.project_samples import decoded, project_samples, relative_distance


@pytest.fixture
def project(save_generator, tmp_path):
    """A function that projects portraits into a generator with random weights."""

    def call(ratio: int = 1, masked: bool = True, holdout: float = 0.2) -> tuple[dict, list[dict], Sampler]:
        arguments = {"size": 32, "z_dim": 4, "width": 4}
        save_model(tmp_path / "vae.safetensors", Vae(**arguments), arguments, {})
        model = save_generator(ratio=ratio)
        networks = {
            "unet": save_varied_unet(tmp_path / "unet.safetensors"),
            "vgg_weights": write_vgg(tmp_path / "vgg.st"),
        }
        project_samples(
            model=model / "model.safetensors",
            vae=tmp_path / "vae.safetensors",
            **(networks if masked else {}),
            settings=ProjectionConfig(portraits=3, steps=20),
            portraits=write_collection(tmp_path, 64, 64 // ratio)["portraits"],
            holdout=holdout,
            projections=tmp_path / "projections.parquet",
            metrics=tmp_path / "projections.json",
            picture=tmp_path / "projections.png",
        )
        figures = json.loads((tmp_path / "projections.json").read_text())
        return figures, list(read_rows([tmp_path / "projections.parquet"])), Sampler.load(model)

    return call


@pytest.mark.parametrize(("ratio", "masked"), [(1, True), (2, False)])
def test_projections_with_their_figures(project, ratio, masked):
    figures, rows, sampler = project(ratio, masked)
    assert figures["portraits"] == {"held_out": 3, "training": 3, "generated": 3}
    assert {(row["kind"], row["space"]) for row in rows} == {(k, s) for k in figures["portraits"] for s in ("w", "w+")}
    for row in rows:
        assert held_out(row["id"], 0.2) == (row["kind"] == "held_out") or row["kind"] == "generated"
        styles = torch.tensor(row["w"]).view(1, -1, 8)
        painted = sampler.generate(styles[:, 0] if row["space"] == "w" else styles)[0]
        assert np.abs(painted.astype(int) - decode_image(row["image"]["bytes"])).max() <= 2
    for space in ("w", "w+"):
        l1 = np.mean([row["l1"] for row in rows if (row["kind"], row["space"]) == ("generated", space)])
        assert figures[space]["generated"]["l1"] == pytest.approx(l1, rel=1e-4)
        assert l1 < 0.5 * figures["other_portrait"]["generated"]["l1"]
    known = {"l1", "l1_std"} | ({"mask_iou", "iou", "colors", "lpips"} if masked else set())
    assert figures["vae"]["held_out"].keys() == known
    assert figures["w"]["generated"].keys() == known | {"w_distance"}


def test_a_smaller_autoencoder_is_enlarged_smoothly():
    """Repeated pixels would stand in its way against a generator of twice its size."""
    torch.manual_seed(0)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    large = decoded(Vae(size=32, z_dim=4, width=4).eval(), images).astype(int)
    assert large.shape == images.shape
    within, across = (np.abs(np.diff(large, axis=2)[:, :, start::2]).mean() for start in (0, 1))
    assert within > across / 2


def test_the_distance_of_styles_is_a_share_of_that_between_portraits(save_generator):
    sampler = Sampler.load(save_generator())
    true = sampler.truncated(range(30), 1)
    assert relative_distance(sampler, true) == 0
    assert relative_distance(sampler, true[:, None].repeat(1, 8, 1)) == 0
    assert relative_distance(sampler, true.roll(1, 0)) == pytest.approx(1, abs=0.2)


def test_too_few_held_out_portraits_are_named(project):
    with pytest.raises(UserError, match="holdout: found 0.0, which leaves 0 portraits held_out; accepted: 2 or more"):
        project(holdout=0.0)
