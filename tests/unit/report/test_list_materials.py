"""The bill of materials: valid CycloneDX, with checksums, licenses, code and settings, the same each time."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from helpers.configs import overlaid, sample_config
from helpers.shared_dataset import write_model
from huggingface_hub import constants
from safetensors.numpy import save_file
from segmentation_models_pytorch.encoders import encoders

from facemill.config.root import PRETRAINED
from facemill.config.validation import validate
from facemill.files import sha256
from facemill.report.list_materials import list_materials
from facemill.report.materials import IMAGENET

CODE = json.dumps({"train_unet": "0123456789abcdef"})


@pytest.fixture
def models(tmp_path) -> list[Path]:
    return [write_model(tmp_path / f"results/mine/{name}/model.safetensors", {}) for name in ("unet/v3", "gaugan")]


@pytest.fixture
def source(tmp_path) -> dict[str, Any]:
    """Two places of images, a file of tags, and labels."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images/nowhere.png").symlink_to(tmp_path / "nowhere")
    for name, content in {
        "images/b/2.png": b"22",
        "images/1.png": b"1",
        "images/.hidden": b"1",
        "more.zip": b"zip",
        "tags.csv": b"1,solo",
        "labelled/1.json": b"{}",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(content)
    return {
        "images": [str(tmp_path / "images"), str(tmp_path / "more.zip")],
        "tags": str(tmp_path / "tags.csv"),
        "labelled": str(tmp_path / "labelled"),
    }


def bill(tmp_path: Path, models: list[Path], content: dict, **more: Any) -> dict[str, Any]:
    path = tmp_path / "results/mine/bom.json"
    list_materials(settings=validate(content), code=CODE, models=models, bill=path, **more)
    text = path.read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return json.loads(text)


def components(written: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {component["bom-ref"]: component for component in written["components"]}


def licenses(component: dict[str, Any]) -> list[str]:
    chosen = [entry.get("license", entry) for entry in component["licenses"]]
    return [entry.get("id") or entry.get("name") or entry["expression"] for entry in chosen]


def properties(holder: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in holder["properties"]}


def test_data_has_checksums_of_files_and_listings_of_folders(tmp_path, models, source):
    content = overlaid("folder", dataset="mine", source=source, licenses={"source.images": "cc0-1.0"})
    parts = components(bill(tmp_path, models, content))
    listed = hashlib.sha256(b"1.png\t1\nb/2.png\t2\n").hexdigest()
    assert properties(parts["source.images.0"]) == {
        "facemill:files": "2",
        "facemill:bytes": "3",
        "facemill:listing_sha256": listed,
    }
    assert parts["source.images.1"]["name"] == "more.zip"
    hashes = {ref: parts[ref]["hashes"] for ref in ("source.images.1", "source.tags")}
    assert hashes == {
        ref: [{"alg": "SHA-256", "content": hashlib.sha256(text).hexdigest()}]
        for ref, text in (("source.images.1", b"zip"), ("source.tags", b"1,solo"))
    }
    assert properties(parts["source.labelled"])["facemill:files"] == "1"
    named = {ref: licenses(part) for ref, part in parts.items() if ref.startswith("source.")}
    assert named == {
        "source.images.0": ["CC0-1.0"],
        "source.images.1": ["CC0-1.0"],
        "source.tags": ["unknown"],
        "source.labelled": ["unknown"],
    }


def test_an_address_has_the_checksum_of_the_config_and_is_not_fetched(tmp_path, models):
    url, known = "https://example.invalid/a/images.zip", "AB" * 32
    source = {"images": url, "labelled": str(tmp_path), "sha256": {url: known}}
    part = components(bill(tmp_path, models, overlaid("folder", dataset="mine", source=source)))["source.images"]
    assert part["hashes"][0]["content"] == known.lower() and part["name"] == "images.zip"
    assert part["externalReferences"] == [{"type": "distribution", "url": url}]


def test_pretrained_weights_have_checksums_and_the_licenses_that_are_given(tmp_path, models):
    vgg, encoder, tagger = (tmp_path / name for name in ("vgg.safetensors", "encoder.safetensors", "tagger"))
    save_file({"a": np.ones(1)}, vgg)
    save_file({"a": np.ones(1)}, encoder, {"license": "Apache-2.0"})
    (tagger / ".cache").mkdir(parents=True)
    (tagger / ".cache/model.onnx.metadata").touch()  # as a download from the Hub leaves it
    (tagger / "model.onnx").write_bytes(b"onnx")
    content = sample_config(
        dataset="mine",
        gaugan={"vgg_weights": str(vgg)},
        unet={"encoder_weights": str(encoder)},
        tags={"wd14": str(tagger)},
        portraits={"person": {"tagger": "wd14", "files": str(tagger)}},
        licenses={
            "gaugan.vgg_weights": "bsd-3-clause",
            "tags.wd14": "terms of its card",
            "models": "cc-by-nc-4.0",
            "dataset": "my own terms",
        },
    )
    written = bill(tmp_path, models, content)
    parts = components(written)
    assert parts["gaugan.vgg_weights"]["hashes"][0]["content"] == sha256(vgg)
    assert parts["tags.wd14/model.onnx"]["hashes"][0]["content"] == hashlib.sha256(b"onnx").hexdigest()
    named = {ref: licenses(part) for ref, part in parts.items() if not ref.startswith(("pypi/", "models/"))}
    assert named == {
        "gaugan.vgg_weights": ["BSD-3-Clause"],
        "unet.encoder_weights": ["Apache-2.0"],
        "tags.wd14/model.onnx": ["terms of its card"],
        "portraits.person.files/model.onnx": ["unknown"],
    }
    assert licenses(parts["models/gaugan"]) == ["CC-BY-NC-4.0"]
    assert licenses(written["metadata"]["component"]) == ["my own terms"]
    read = {entry["ref"]: set(entry.get("dependsOn", [])) for entry in written["dependencies"]}
    assert read["models/gaugan"] == {"dataset", "gaugan.vgg_weights"}
    assert read["models/unet/v3"] == {"dataset", "unet.encoder_weights"}
    assert read["dataset"] == {"tags.wd14/model.onnx", "portraits.person.files/model.onnx"}


def test_published_weights_of_timms_networks_have_timms_license(tmp_path, models):
    training = {"images": 8, "batch": 4, "learning_rate": 1e-3}
    tokens = {"vit": "vit_small_patch14_dinov2", "weights": "published", "copies": 8, "training": training}
    unet = {"encoder": "tf_efficientnet_lite2", "encoder_weights": "imagenet"}
    written = bill(tmp_path, models, sample_config(dataset="mine", unet=unet, token_unet=tokens))
    parts = components(written)
    repositories = {
        "token_unet.weights": "vit_small_patch14_dinov2.lvd142m",
        "unet.encoder_weights": f"{unet['encoder']}.in1k",
    }
    for key, repository in repositories.items():
        assert (parts[key]["name"], licenses(parts[key])) == (f"timm/{repository}", ["Apache-2.0"])
    read = {entry["ref"]: set(entry.get("dependsOn", [])) for entry in written["dependencies"]}
    assert read["models/unet/v3"] == {"dataset", "unet.encoder_weights"}
    assert "token_unet.weights" not in read["dataset"] | read["models/gaugan"]


def test_imagenets_weights_are_those_that_are_downloaded(tmp_path, models, monkeypatch):
    pretrained = encoders["mobilenet_v2"]["pretrained_settings"]["imagenet"]
    assert (pretrained["repo_id"], pretrained["revision"]) == IMAGENET
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    content = sample_config(dataset="mine", unet={"encoder_weights": "imagenet"})
    assert "hashes" not in components(bill(tmp_path, models, content))["unet.encoder_weights"]
    snapshot = tmp_path / f"cache/models--{IMAGENET[0].replace('/', '--')}/snapshots/{IMAGENET[1]}"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(b"weights")
    part = components(bill(tmp_path, models, content))["unet.encoder_weights"]
    assert part["hashes"][0]["content"] == hashlib.sha256(b"weights").hexdigest()
    assert part["externalReferences"][0]["url"].startswith(f"https://huggingface.co/{IMAGENET[0]}/resolve/")


def test_models_packages_code_and_settings_are_listed(tmp_path, models):
    written = bill(tmp_path, models, sample_config(dataset="mine"))
    parts = components(written)
    assert parts["models/unet/v3"]["hashes"][0]["content"] == sha256(models[0])
    assert parts["pypi/numpy"]["version"] == np.__version__ and licenses(parts["pypi/numpy"]) != ["unknown"]
    assert parts["pypi/numpy"]["purl"] == f"pkg:pypi/numpy@{np.__version__}"
    made = properties(written["metadata"])
    assert made["facemill:code.train_unet"] == "0123456789abcdef"
    assert made["facemill:config.gaugan.preset"] == "small" and made["facemill:config.seed"] == "1"
    assert made["facemill:config.filter.tags_none"] == '["lying", "from_side"]'
    assert made["facemill:config.source.images"] == "null" and made["facemill:config.licenses"] == "{}"


def test_the_sample_names_its_drawings_license_and_the_checksums_of_its_files(tmp_path, models):
    checksums = tmp_path / "source.sha256"
    checksums.write_text("0" * 64)
    part = components(bill(tmp_path, models, sample_config(dataset="mine"), checksums=checksums))["source"]
    assert licenses(part) == ["CC-BY-4.0"]
    assert properties(part)["facemill:checksums_sha256"] == sha256(checksums)


def test_the_same_materials_have_the_same_bill_and_others_another(tmp_path, models):
    first = bill(tmp_path, models, sample_config(dataset="mine"))
    assert bill(tmp_path, models, sample_config(dataset="mine")) == first
    assert "timestamp" not in first["metadata"]
    assert bill(tmp_path, models, sample_config(dataset="mine", seed=2))["serialNumber"] != first["serialNumber"]


def test_every_key_of_pretrained_networks_is_one_of_the_config():
    settings = validate(sample_config())
    assert [settings.files(key) for key in PRETRAINED] == [[]] * len(PRETRAINED)
