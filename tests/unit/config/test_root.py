import datetime
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from snakemake.utils import update_config

from facemill.config.root import Config, unet_settings
from facemill.config.validation import schema, validate
from facemill.errors import UserError

ROOT = Path(__file__).parents[3]


def config(**changes) -> dict:
    content = yaml.safe_load((ROOT / "config.yaml").read_text())
    update_config(content, changes)
    return content


def test_the_sample_is_valid_as_it_stands_and_by_the_schema():
    validate(config())
    jsonschema.validate(config(), schema())


@pytest.mark.parametrize("overlay", ["folder", "danbooru", "celeba"])
def test_an_overlay_needs_nothing_but_its_source(overlay, tmp_path):
    content = config(**yaml.safe_load((ROOT / f"config/{overlay}.yaml").read_text()))
    with pytest.raises(UserError, match=f"source.images: found nothing; accepted: .* kind '{overlay}' needs"):
        validate(content)
    places = {key: str(tmp_path) for key in ("images", "labelled", "attributes")} | {"metadata": [str(tmp_path)]}
    assert validate(content | {"source": places}).kind == overlay
    del places["labelled"]
    if overlay == "celeba":
        assert not validate(content | {"source": places}).masked
        return
    with pytest.raises(
        UserError, match="source.labelled: found nothing; accepted: a path, here or in source.masks; or no"
    ):
        validate(content | {"source": places})
    without = content | {"source": places, "tags": content["tags"] | {"sources": ["tags"]}}
    assert not validate(without).masked


def test_ready_made_masks_can_take_the_place_of_labelme_files(tmp_path):
    places = {key: str(tmp_path) for key in ("images", "attributes")} | {"metadata": [str(tmp_path)]}
    places |= {"masks": {"images": str(tmp_path), "masks": str(tmp_path)}}
    content = config(**yaml.safe_load((ROOT / "config/celeba.yaml").read_text()))
    found = validate(content | {"source": places})
    assert found.source.masks.masks == tmp_path and len(found.labels.index_names) == 19
    with pytest.raises(UserError, match="labels.index_names: found nothing; accepted: the labels behind the numbers"):
        validate(config(kind="folder") | {"source": places})
    with pytest.raises(UserError, match="source.masks.masks: found '.*nowhere'; accepted: a path that exists"):
        validate(content | {"source": places | {"masks": {"images": str(tmp_path), "masks": "nowhere"}}})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"sed": 1}, r"sed: unknown key \(value 1\); accepted: dataset, kind, seed, .*"),
        (
            {"unet": {"bogus": 1}},
            "unet.bogus: unknown key .*; accepted: encoder_weights, width, class_weights, patience, versions",
        ),
        (
            {"vae": {"training": {"rate": 1}}},
            "vae.training.rate: unknown key .*; accepted: images, batch, .*",
        ),
        ({"unet": {"versions": {"v1": {"x": 1}}}}, "unet.versions.v1.x: unknown key .* decoder, downscale, training"),
        ({"unet": {"versions": {"v4": {}}}}, r"unet.versions.v4: found 'v4'; accepted: 'v1', 'v2' or 'v3' \(and .*"),
        ({"portraits": {"size": "big"}}, "portraits.size: found 'big'; accepted: 32, 64, 128, 256 or 512"),
        ({"portraits": {"size": 100}}, "portraits.size: found 100; accepted: 32, 64, 128, 256 or 512"),
        ({"portraits": {"size": 64}}, "unet.versions.v1.downscale: found 4; accepted: .* 64, a multiple of 32 still"),
        ({"portraits": {"ratio": 1.5}}, "portraits.ratio: found 1.5; accepted: 1 or 2 where there are masks"),
        (
            {"portraits": {"size": 64, "ratio": 2}},
            "portraits.size: found 64, so 32 pixels wide; accepted: at .*",
        ),
        ({"pseudo_labels": {"version": "v4"}}, "self_training: found nothing; accepted: a section, which .* v4 needs"),
        ({"unet": {"class_weights": {"tail": 2}}}, "unet.class_weights.tail: found 'tail'; accepted: background, .*"),
        ({"unet": {"width": "huge"}}, "unet.width: found 'huge'; accepted: 'tiny', 'narrow' or 'wide'"),
        (
            {"gaugan": {"gpus": 3}},
            "gaugan.training.batch: found 8; accepted: a multiple of grad_accumulation times gpus, 3",
        ),
        ({"holdout": 1}, "holdout: found 1; accepted: less than 1"),
        ({"dataset": "a/b"}, "dataset: found 'a/b'; accepted: string that matches pattern .*"),
        ({"gaugan": {"vgg_weights": "no.file"}}, "gaugan.vgg_weights: found 'no.file'; accepted: a path that exists"),
        ({"source": {"metadata": ["no.file"]}}, "source.metadata.0: found 'no.file'; accepted: a path that exists"),
        ({"labels": {"merge": {"mouth": []}}}, r"labels.merge.mouth: found \[\]; accepted: at least one label.*"),
        ({"labels": {"merge": {"tail": ["t"]}}}, "labels.merge.tail: found 'tail'; accepted: background, skin, .*"),
        ({"labels": {"merge": {"mouth": ["ear"]}}}, "labels.merge: found 'ear' twice; accepted: each label in one .*"),
        (
            {"labels": {"index_names": ["a"]}},
            "labels.index_names: found 'a'; accepted: labels that `merge` or `ignore` names",
        ),
        ({"label_quality": {"folds": 1}}, "label_quality.folds: found 1; accepted: greater than or equal to 2"),
        ({"labels": {"test": 0.95}}, "labels.test: found 0.95; accepted: less than 1 together with validation"),
        ({"filter": {"created_after": "May"}}, "filter.created_after: found 'May'; accepted: string that matches .*"),
        (
            {"tags": {"hair_colors": {"red_hair": ["red"]}}},
            "tags.hair_colors.red_hair.0: found 'red'; accepted: a .*",
        ),
        ({"tags": {"sources": []}}, r"tags.sources: found \[\]; accepted: .*"),
        ({"tags": {"sources": ["wd14"]}}, "tags.wd14: found nothing; accepted: the folder of its files, .*"),
        ({"tags": {"i2v": "no.folder"}}, "tags.i2v: found 'no.folder'; accepted: a path that exists"),
        (
            {"kind": "celeba", "source": {"images": ".", "attributes": "."}},
            "source.labelled: found nothing; accepted: a path, here or in source.masks; or no color in tags.sources",
        ),
        ({"sample": None}, "sample: found nothing; accepted: a section, which kind 'sample' needs"),
        ({"unet": {"encoder_weights": 5}}, "unet.encoder_weights: found 5; accepted: 'imagenet'.*"),
        ({"vae": None}, "vae: found None; accepted: .*"),
    ],
)
def test_a_fault_is_one_line_with_key_value_and_what_is_accepted(changes, line):
    with pytest.raises(UserError, match=f"^{line}$"):
        validate(config(**changes))


def test_a_class_that_is_missing_from_merge_is_named():
    content = config()
    del content["labels"]["merge"]["hair"]
    with pytest.raises(UserError, match="labels.merge.hair: found nothing; accepted: at least one label"):
        validate(content)


def test_a_missing_key_is_named():
    content = config()
    del content["vae"]["z_dim"]
    with pytest.raises(UserError, match="vae.z_dim: found nothing; accepted: a value"):
        validate(content)


def test_dates_may_be_written_as_yaml_dates():
    found = validate(config(filter={"created_after": datetime.date(2019, 5, 1), "created_before": "2020-01-01"}))
    assert (found.filter.created_after, found.filter.created_before) == ("2019-05-01", "2020-01-01")


def test_null_takes_a_hair_color_away():
    assert "red_hair" not in validate(config(tags={"hair_colors": {"red_hair": None}})).tags.hair_colors


def test_values_may_come_as_strings_as_snakemake_hands_them_on():
    changes = {"portraits": {"size": "256"}, "filter": {"min_score": "null"}, "vae": {"kl_weight": "1e-3"}}
    found = validate(config(**changes))
    assert (found.portraits.size, found.filter.min_score, found.vae.kl_weight) == (256, None, 0.001)


def test_unet_settings_hold_what_concerns_one_version():
    found = unet_settings(validate(config()), "v1")
    assert (found.decoder, found.downscale) == ("transposed", 4)
    fold = unet_settings(validate(config()), "v3", validate(config()).label_quality.training)
    assert (fold.decoder, fold.training.images) == ("upsample", 4000)
    changed = validate(config(unet={"versions": {"v2": {"training": {"batch": 3}}}}))
    assert unet_settings(changed, "v1") == found
    assert unet_settings(changed, "v2").training.batch == 3


def test_settings_survive_the_way_through_json():
    found = validate(config())
    for section in (found.filter, found.labels, found.tags, found.source, unet_settings(found, "v3")):
        assert type(section).model_validate_json(section.model_dump_json()) == section


def test_paths_are_those_that_are_files(tmp_path):
    weights = tmp_path / "w.safetensors"
    weights.touch()
    found = validate(config(unet={"encoder_weights": str(weights)}, gaugan={"vgg_weights": None}))
    assert found.paths() == {"unet.encoder_weights": weights}
    assert validate(config(unet={"encoder_weights": "imagenet"})).paths() == {}


def test_generated_files_are_in_step():
    assert json.loads((ROOT / "schemas/config.schema.json").read_text()) == schema(), "run `make generated`"
    environment = subprocess.run(
        [sys.executable, ROOT / "envs/generate.py"], capture_output=True, text=True, check=True
    )
    assert (ROOT / "envs/facemill.yaml").read_text() == environment.stdout, "run `make generated`"
    assert "torch==" in environment.stdout and "pytest" not in environment.stdout


def test_every_setting_is_written_out_in_the_sample():
    def keys(content: dict) -> set[str]:
        return {f"{k}.{rest}" for k, v in content.items() for rest in (keys(v) if isinstance(v, dict) else [""])}

    assert keys(Config.model_validate(config()).model_dump()) == keys(config())
