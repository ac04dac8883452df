"""The folder that `benchmarks/gpu.py` runs on: from a dataset as the workflow leaves it, or drawn."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from facemill.data.classes import SEVEN
from facemill.data.shards import decode_image, decode_mask, mask_classes, open_shard, read_rows, write_shard
from facemill.errors import UserError
from facemill.ingest.portraits import SCHEMA as PORTRAITS
from facemill.label.labelled_rows import SCHEMA as LABELS
from facemill.networks.imagenet import load_encoder
from facemill.networks.unet import Unet

spec = importlib.util.spec_from_file_location("gpu_data", Path(__file__).parents[2] / "benchmarks/gpu_data.py")
assert spec and spec.loader
gpu_data = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gpu_data)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gpu") / "drawn"
    gpu_data.main(out=folder)
    return folder


@pytest.fixture
def results(drawn, tmp_path) -> Path:
    """The results of a dataset, 3 MB of augmented labels and as many portraits, in the order of the workflow."""
    folder = tmp_path / "results"
    for name, target in (("train", "augmented/train"), ("validation", "labels/validation")):
        rows = list(read_rows([drawn / f"{name}.parquet"]))
        rows = [row | {"id": f"{row['id']}-{copy:02}"} for row in rows for copy in range(20 if name == "train" else 1)]
        write_shard(folder / f"{target}.parquet", rows, LABELS, SEVEN)
    for number in range(2):
        rows = list(read_rows([drawn / f"portraits-{number:04}.parquet"]))
        rows = [row | {"id": f"{row['id']}{copy:02}"} for copy in range(20) for row in rows]
        write_shard(folder / f"portraits/shard-{number:04}.parquet", rows, PORTRAITS)
    return folder


def ids(*paths: Path) -> list[str]:
    return [row["id"] for row in read_rows(paths, ["id"])]


def test_drawings_are_portraits_with_their_masks(drawn):
    train, validation, *portraits = (drawn / name for name in gpu_data.DRAWN)
    assert mask_classes([train, validation]) == SEVEN
    rows = list(read_rows([train, validation]))
    masks = [decode_mask(row["mask"]["bytes"], SEVEN) for row in rows]
    assert all(decode_image(row["image"]["bytes"]).shape == (64, 64, 3) for row in rows)
    assert all(mask.shape == (64, 64) for mask in masks) and set(np.unique(masks)) == set(range(7))
    assert len(set(ids(train, validation, *portraits))) == sum(gpu_data.DRAWN.values())


def test_labels_and_portraits_share_the_megabytes(results, tmp_path):
    out = tmp_path / "out"
    gpu_data.main(out=out, results=results, megabytes=3)
    assert 2.6e6 < gpu_data.size_of(out) < 3e6
    train, everything = ids(out / "train.parquet"), ids(results / "augmented/train.parquet")
    assert train == everything[::3] and len({name.partition("-")[0] for name in train}) == 24
    assert ids(out / "validation.parquet") == ids(results / "labels/validation.parquet")
    portraits = ids(*sorted(out.glob("portraits-*.parquet")))
    assert portraits == ids(*sorted(results.glob("portraits/*.parquet")))[: len(portraits)] and len(portraits) > 320
    assert open_shard(out / "portraits-0001.parquet").schema_arrow.names == PORTRAITS.names
    assert mask_classes([out / "train.parquet", out / "validation.parquet"]) == SEVEN


def test_weights_are_stored_in_float16_and_read_as_float32(tmp_path, results):
    arguments = {"classes": 7, "size": 64, "decoder": "upsample", "decoder_channels": [8] * 5, "downscale": 1}
    source, unet = Unet(**arguments).encoder, Unet(**arguments)
    source.features[0][1].running_var.fill_(1e6)  # float16 has no such number
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    gpu_data.main(out=tmp_path / "out", results=results, encoder_weights=tmp_path / "weights.safetensors")
    stored = tmp_path / "out/encoder.safetensors"
    assert {t.dtype for t in load_file(stored).values() if t.ndim > 1} == {torch.float16}
    load_encoder(unet.encoder, stored)
    for name, tensor in source.state_dict().items():
        assert unet.encoder.state_dict()[name].dtype == tensor.dtype
        torch.testing.assert_close(unet.encoder.state_dict()[name], tensor, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("missing", "fault"),
    [
        ("augmented/train.parquet", "train.parquet: is missing; accepted: a dataset as far as augment_labels"),
        ("labels/validation.parquet", "validation.parquet: is missing"),
        ("portraits/shard-*.parquet", "portraits/shard-0000.parquet: is missing"),
    ],
)
def test_a_dataset_that_is_not_far_enough_is_refused(results, tmp_path, missing, fault):
    for path in results.glob(missing):
        path.unlink()
    with pytest.raises(UserError, match=fault):
        gpu_data.main(out=tmp_path / "out", results=results)
    assert not (tmp_path / "out").exists()


def test_wrong_arguments_are_refused(results, drawn, tmp_path):
    with pytest.raises(UserError, match="--megabytes: found 1; accepted: at least 2"):
        gpu_data.main(out=tmp_path / "out", results=results, megabytes=1)
    with pytest.raises(UserError, match="drawn is there already; accepted: a new folder"):
        gpu_data.main(out=drawn)
    with pytest.raises(UserError, match="nowhere: no such file"):
        gpu_data.main(out=tmp_path / "out", vgg_weights=tmp_path / "nowhere")
    (tmp_path / "text").write_text("not weights")
    with pytest.raises(UserError, match="text: not a safetensors file"):
        gpu_data.main(out=tmp_path / "out", vgg_weights=tmp_path / "text")
