"""What the studio finds in a results folder and beside a model, and what it says where there is nothing."""

import shutil
from pathlib import Path

import pytest
from helpers.studio_models import write_results

from facemill.errors import UserError
from facemill.studio.paths import find_paths


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    return write_results(tmp_path_factory.mktemp("paths") / "results")


def test_all_of_a_results_folder(results, tmp_path):
    paths = find_paths(results, out=tmp_path)
    assert paths.model == results / "gaugan" and paths.unet == results / "unet/v3"
    assert paths.vectors == results / "attributes/vectors.safetensors"
    assert [path.name for path in paths.portraits] == ["shard-0000.parquet", "shard-0001.parquet"]
    assert len(paths.masks) == 2
    assert paths.review == results / "review/labelme" and paths.config == results / "config.yaml"
    assert paths.labelled is None and paths.out == tmp_path


@pytest.mark.parametrize("model", ["gaugan", "gaugan/model.safetensors"])
def test_all_beside_a_model(results, model):
    expected = find_paths(results)
    assert find_paths(model=results / model) == find_paths(results / "gaugan") == expected
    assert expected.out == Path("edits")


def test_the_best_unet(results, tmp_path):
    copy = shutil.copytree(results, tmp_path / "results")
    (copy / "unet/v4").mkdir()
    assert find_paths(copy).unet == copy / "unet/v4"
    shutil.rmtree(copy / "unet")
    assert find_paths(copy).unet is None
    assert find_paths(copy, unet=results / "unet/v3").unet == results / "unet/v3"


def test_a_model_alone(results, tmp_path):
    shutil.copytree(results / "gaugan", tmp_path / "gaugan")
    paths = find_paths(model=tmp_path / "gaugan")
    assert (paths.unet, paths.vectors, paths.review, paths.config) == (None, None, None, None)
    assert paths.portraits == paths.masks == ()


def test_masks_of_other_shards_are_none_of_the_portraits(results, tmp_path):
    copy = shutil.copytree(results, tmp_path / "results")
    (copy / "pseudo_labels/shard-0001.parquet").unlink()
    assert len(find_paths(copy).portraits) == 2 and find_paths(copy).masks == ()


def test_what_is_not_there_is_named(results, tmp_path):
    missing = tmp_path / "missing"
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for options, words in [
        ({}, "no model is named"),
        ({"results": missing}, "missing: no such folder"),
        ({"results": tmp_path / "file"}, "file: no such folder"),
        ({"results": tmp_path / "empty"}, "empty/gaugan: no GauGAN is there"),
        *(
            ({"results": results, name: missing}, f"--{name} .*missing: no such file or folder")
            for name in ("model", "unet", "vectors", "config")
        ),
        *(
            ({"results": results, name: tmp_path / "file"}, f"--{name} .*file is a file")
            for name in ("labelled", "out")
        ),
        ({"model": results / "gaugan/style_encoder.safetensors"}, "accepted: a folder, or a file model.safetensors"),
        ({"results": results, "out": tmp_path / "file/deep/edits"}, "--out .*/file is a file"),
    ]:
        with pytest.raises(UserError, match=words):
            find_paths(**options)
    assert find_paths(results, labelled=missing).labelled == missing  # made with the first label
