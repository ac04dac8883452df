"""The cards of models: their figures, what they were trained on, their settings, their license."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.shared_dataset import write_model, write_tables
from huggingface_hub import ModelCard

from facemill.data.splits import held_out
from facemill.files import write_json
from facemill.report.describe_gaugan import describe_gaugan
from facemill.report.describe_unet import describe_unet
from facemill.report.describe_vae import describe_vae

HOLDOUT = 0.3
SCORES = {
    "miou": 0.8333333,
    "iou": {"background": 0.9, "hair": None},
    "specks": 2,
    "confusion": {"hair": [0.5, 0.5]},
    "test_images": 2,
    "gain": {"miou": -0.1, "interval": [-0.2, 0.1]},
}


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "results/mine"
    write_tables(folder)
    write_json(folder / "metrics.json", dict.fromkeys(("v3", "v4", "v5", "v6"), SCORES))
    return folder


def unet_card(folder: Path, version: str = "v3", **more: str) -> Path:
    card = folder / f"unet/{version}/README.md"
    settings = {"v5": {"token_unet": {"copies": 1}}, "v6": {"teachers": ["v3", "v5"]}}.get(version, {})
    describe_unet(
        dataset="mine",
        version=version,
        model=write_model(folder / f"unet/{version}/model.safetensors", {"size": 64}, **settings),
        metrics=folder / "metrics.json",
        labels=[folder / f"labels/{part}.parquet" for part in ("train", "validation", "test")],
        augmented=[folder / f"portraits/shard-{number}.parquet" for number in ("0001", "0000")],
        portraits=[folder / "portraits/shard-0000.parquet"],
        card=card,
        **more,
    )
    return card


def vae_card(folder: Path) -> str:
    metrics = folder / "vae.json"
    write_json(metrics, {"reconstruction_l1": 0.05, "kl": 12.5, "images": 3})
    model = write_model(folder / "vae/model.safetensors", {"size": 32, "z_dim": 16}, classes=False)
    shards = sorted(folder.glob("portraits/*.parquet"))
    describe_vae(
        dataset="mine", model=model, metrics=metrics, portraits=shards, holdout=HOLDOUT, card=folder / "vae/README.md"
    )
    return (folder / "vae/README.md").read_text()


def gaugan_card(folder: Path, z: str = "encoder") -> str:
    metrics = folder / "gaugan.json"
    write_json(metrics, {"resegmentation_miou": 0.7, "from_own_styles": {"resegmentation_iou": {"hair": 0.5}}})
    describe_gaugan(
        dataset="mine",
        model=write_model(folder / "gaugan/model.safetensors", {"size": 64, "z": z}),
        metrics=metrics,
        portraits=sorted(folder.glob("portraits/*.parquet")),
        gate=folder / "gate/gate.parquet",
        holdout=HOLDOUT,
        card=folder / "gaugan/README.md",
    )
    return (folder / "gaugan/README.md").read_text()


def test_a_card_of_a_unet_has_its_figures_its_data_and_its_settings(folder):
    lines = unet_card(folder).read_text().splitlines()
    assert "| `miou` | 0.8333 | mean of the classes' IoUs, of pixels summed over the test portraits |" in lines
    assert "| `iou.background` | 0.9 | IoU of one class |" in lines and "| `iou.hair` | - | IoU of one class |" in lines
    assert "| `gain.miou` | -0.1 | mean IoU less that of the version before, on the same portraits |" in lines
    trained = next(line for line in lines if line.startswith("3 hand-labelled portraits"))
    assert "in 4 augmented copies. The weights were chosen by the split validation (1), the" in trained
    assert trained.endswith("the figures are of the split test (2).")
    assert "| 5 | `hair` | `#863dc6` | hair |" in lines and '    "seed": 1' in lines


def test_v4_and_v6_are_trained_on_the_collection_too(folder):
    card = unet_card(folder, "v4").read_text()
    assert "in 4 augmented copies, and v3's confident pseudo-labels of the unlabelled among 5 portraits" in card
    assert "and the soft labels of v3 and v5 of the unlabelled among 5 portraits" in unet_card(folder, "v6").read_text()


def test_v5_and_v6_are_trained_on_the_validation_portraits_too(folder):
    data = "4 hand-labelled portraits (`labels`, splits train and validation) in {} augmented copies"
    v5, v6 = (unet_card(folder, version).read_text() for version in ("v5", "v6"))
    assert f"{data.format(4)}. The weights are those of the last step, the figures are of the split test (2)." in v5
    assert f"{data.format(9)}, and the soft labels" in v6


def test_the_header_is_what_the_hub_reads(folder):
    card = ModelCard.load(unet_card(folder, model_license="mit"))
    [result] = card.data.eval_results
    assert (card.data.license, card.data.pipeline_tag) == ("mit", "image-segmentation")
    assert (result.metric_type, result.metric_value, result.dataset_name) == ("miou", 0.833333, "mine")


def test_a_metric_that_could_not_be_measured_is_not_in_the_header(folder):
    write_json(folder / "metrics.json", {"v3": SCORES | {"miou": None}})
    assert "model-index" not in yaml.safe_load(unet_card(folder).read_text().split("---\n")[1])


def test_a_license_that_nobody_names_is_unknown(folder):
    card = unet_card(folder).read_text()
    assert "license" not in yaml.safe_load(card.split("---\n")[1])
    assert "Unknown: its makers name none." in card and "`licenses: {models: IDENTIFIER}`" in card


def test_a_card_of_the_vae_counts_what_is_not_held_out(folder):
    trained = sum(not held_out(str(number), HOLDOUT) for number in range(9))
    assert 0 < trained < 9
    card = vae_card(folder)
    assert f"\n{trained} of the 9 portraits" in card and "(N, 3, 32, 32)" in card and "## Classes" not in card


def test_a_card_of_gaugan_counts_what_the_gate_accepts_and_is_not_held_out(folder):
    accepted = [number for number in range(9) if number % 3]
    trained = sum(not held_out(str(number), HOLDOUT) for number in accepted)
    card = gaugan_card(folder)
    assert f"\n{trained} of the 9 portraits with pseudo-labels" in card
    assert "| `from_own_styles.resegmentation_iou.hair` | 0.5 | mask fidelity of one class |" in card
    assert "--style IMAGE" in card and "--style" not in gaugan_card(folder, z="none")


def test_a_card_of_a_unet_says_what_its_use_is_to_be_typed(folder):
    """The names in the example are those of the library."""
    card = unet_card(folder).read_text()
    code = card.split("```python\n")[1].split("```")[0]
    imports = [line for line in code.splitlines() if line.startswith("from ")]
    assert "from facemill.inference.segmenter import Segmenter" in imports
    assert subprocess.run([sys.executable, "-c", "\n".join(imports)]).returncode == 0


def test_the_same_model_has_the_same_card(folder):
    assert unet_card(folder).read_bytes() == unet_card(folder).read_bytes()
    assert json.loads(unet_card(folder).read_text().split("```json\n")[1].split("```")[0])["arguments"] == {"size": 64}
