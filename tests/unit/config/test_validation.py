import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from helpers.configs import ROOT, sample_config

from facemill.config.validation import FOLDERS, schema, validate
from facemill.errors import UserError

BACKGROUND = {"name": "background", "color": "#282235", "role": "background"}
HAIR = {"name": "hair", "color": "#863dc6", "role": "hair"}


def test_the_sample_is_valid_as_it_stands_and_by_the_schema():
    assert validate(sample_config()).dataset == "sample"
    jsonschema.validate(sample_config(), schema())  # raises where the schema does not fit


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"sed": 1}, r"sed: unknown key \(value 1\); accepted: dataset, kind, seed, .*"),
        (
            {"unet": {"bogus": 1}},
            "unet.bogus: unknown key .*; accepted: encoder, encoder_weights, width, class_weights, patience, versions",
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
        (
            {
                "portraits": {"size": 128, "ratio": 2},
                "token_unet": {
                    "vit": "vit_small_patch14_dinov2",
                    "weights": None,
                    "copies": 6,
                    "training": {"images": 8, "batch": 4, "learning_rate": 1e-3},
                },
            },
            "token_unet: found a section; accepted: null where portraits.ratio is 2",
        ),
        ({"pseudo_labels": {"version": "v5"}}, "token_unet: found nothing; accepted: a section, which .* v5 needs"),
        (
            {"distillation": {"teachers": ["v3", "v5"], "training": {"images": 8, "batch": 4, "learning_rate": 1e-3}}},
            "token_unet: found nothing; accepted: a section, which distillation.teachers v5 needs",
        ),
        (
            {"unet": {"class_weights": {"tail": 2}}},
            "unet.class_weights.tail: found 'tail'; accepted: background, skin, face, .*",
        ),
        ({"unet": {"width": "huge"}}, "unet.width: found 'huge'; accepted: 'tiny', 'narrow' or 'wide'"),
        (
            {"gaugan": {"gpus": 3}},
            "gaugan.training.batch: found 8; accepted: a multiple of grad_accumulation times gpus, 3",
        ),
        (
            {"gaugan": {"perceptual": "vgg"}},
            "gaugan.perceptual: found 'vgg'; accepted: unet or none, or a file in gaugan.vgg_weights",
        ),
        ({"gaugan": {"perceptual": "lpips"}}, "gaugan.perceptual: found 'lpips'; accepted: 'unet', 'vgg' or 'none'"),
        ({"gaugan": {"discriminator": "unet"}}, "gaugan.discriminator: found 'unet'; accepted: 'patch' or .*"),
        ({"holdout": 1}, "holdout: found 1; accepted: less than 1"),
        ({"dataset": "a/b"}, "dataset: found 'a/b'; accepted: string that matches pattern .*"),
        (
            {"gaugan": {"vgg_weights": "no.file"}},
            "gaugan.vgg_weights: found 'no.file', which is not there; accepted: a path that exists",
        ),
        (
            {"source": {"metadata": ["no.file"]}},
            "source.metadata.0: found 'no.file', which is not there; accepted: a path that exists",
        ),
        ({"labels": {"merge": {"mouth": []}}}, r"labels.merge.mouth: found \[\]; accepted: at least one label.*"),
        ({"labels": {"merge": {"tail": ["t"]}}}, "labels.merge.tail: found 'tail'; accepted: background, skin, .*"),
        ({"labels": {"merge": {"mouth": ["ear"]}}}, "labels.merge: found 'ear' twice; accepted: each label in one .*"),
        (
            {"labels": {"index_names": ["a"]}},
            "labels.index_names: found 'a'; accepted: labels that `merge` or `ignore` names",
        ),
        ({"classes": []}, "classes: found 0 classes; accepted: 2 to 64"),
        ({"classes": 7}, "classes: found 7; accepted: .*"),
        ({"classes": [HAIR, HAIR]}, "classes: found 'hair' first; accepted: a class of role background"),
        ({"classes": [BACKGROUND, HAIR, HAIR]}, "classes: found 'hair' twice; accepted: each name once"),
        ({"classes": [BACKGROUND, HAIR | {"color": "red"}]}, "classes.1.color: found 'red'; accepted: a color such .*"),
        (
            {"classes": [BACKGROUND, HAIR | {"role": "tail"}]},
            "classes.1.role: found 'tail'; accepted: 'background', .*",
        ),
        ({"classes": [BACKGROUND, HAIR | {"name": "a b"}]}, "classes.1.name: found 'a b'; accepted: string that .*"),
        (
            {"classes": [BACKGROUND, HAIR | {"colour": "#000000"}]},
            r"classes.1.colour: unknown key \(value '#000000'\); accepted: name, color, role",
        ),
        ({"classes": [BACKGROUND, HAIR]}, "labels.merge.skin: found 'skin'; accepted: background, hair"),
        (
            {"classes": [*sample_config()["classes"], {"name": "tail", "color": "#000000"}]},
            "labels.merge.tail: found nothing; accepted: at least one label, for this class too",
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
        ({"tags": {"i2v": "no.folder"}}, "tags.i2v: found 'no.folder', which is not there; accepted: .*"),
        (
            {"kind": "celeba", "source": {"images": ".", "attributes": "."}},
            "source.labelled: found nothing; accepted: a path, here or in source.masks; or no color in tags.sources",
        ),
        (
            {"kind": "folder", "source": {"images": "."}, "tags": {"sources": ["tags"]}, "also": ["avatars"]},
            "also: found avatars; accepted: further stages that need no masks, or source.labelled or source.masks",
        ),
        (
            {"kind": "folder", "source": {"images": "."}, "tags": {"sources": ["tags"]}, "also": ["cyclegan"]},
            r"cyclegan.other: found null; accepted: another collection, which also: \[cyclegan\] needs",
        ),
        (
            {"kind": "folder", "source": {"images": "."}, "tags": {"sources": ["tags"]}, "also": ["swap"]},
            "also: found swap; accepted: further stages that need no masks, or source.labelled or source.masks",
        ),
        (
            {"kind": "folder", "source": {"images": ".", "labelled": "."}, "also": ["swap"]},
            r"swap.a: found null; accepted: a film or folder, which also: \[swap\] needs",
        ),
        (
            {"swap": {"a": "a.mp4"}},
            "swap.b: found null; accepted: a film or folder, as the other side has one",
        ),
        (
            {"swap": {"a": "a.mp4", "b": "./a.mp4"}},
            "swap.b: found a.mp4, which is swap.a; accepted: another person's film or folder",
        ),
        (
            {"swap": {"detector": "yunet"}},
            "swap.detector_file: found null; accepted: a file with detector yunet",
        ),
        (
            {"swap": {"detector_file": "face.xml"}},
            "swap.detector_file: found face.xml; accepted: null with detector masks",
        ),
        ({"swap": {"feather": 0.5}}, "swap.feather: found 0.5; accepted: less than or equal to 0.25"),
        ({"swap": {"preset": "huge"}}, "swap.preset: found 'huge'; accepted: 'tiny', 'light', 'medium' or 'original'"),
        (
            {"avatars": {"styles": ["lorelei", "a/toon-head.json", "toon-head"]}},
            "avatars.styles: found a/toon-head.json, toon-head; accepted: styles of different names",
        ),
        (
            {"stylegan": {"size": 256}},
            "stylegan.size: found 256; accepted: at most portraits.size, 128",
        ),
        (
            {"mask_generator": {"size": 256}},
            "mask_generator.size: found 256; accepted: at most portraits.size, 128",
        ),
        (
            {"mask_generator": {"training": {"batch": 6}}},
            "mask_generator.training.batch: found 6; accepted: a multiple of 4",
        ),
        (
            {"mask_generator": {"diff_augment": ["color"]}},
            "mask_generator.diff_augment.0: found 'color'; accepted: 'translation' or 'cutout'",
        ),
        ({"stylegan": {"size": 48}}, "stylegan.size: found 48; accepted: 32, 64, 128, 256 or 512"),
        ({"stylegan": {"preset": "huge"}}, "stylegan.preset: found 'huge'; accepted: 'tiny', 'small', .* or 'paper'"),
        ({"stylegan": {"loss": "hinge"}}, "stylegan.loss: found 'hinge'; accepted: 'logistic' or 'relativistic'"),
        (
            {"stylegan": {"training": {"batch": 6}}},
            "stylegan.training.batch: found 6; accepted: a multiple of 4 times grad_accumulation times gpus, 4",
        ),
        (
            {"stylegan": {"grad_accumulation": 2, "gpus": 3}},
            "stylegan.training.batch: found 16; accepted: a multiple of 4 times grad_accumulation times gpus, 24",
        ),
        ({"stylegan": {"diff_augment": ["blur"]}}, "stylegan.diff_augment.0: found 'blur'; accepted: 'color', .*"),
        ({"stylegan": {"r1": -1}}, "stylegan.r1: found -1; accepted: greater than or equal to 0"),
        ({"stylegan": {"penalty_every": 0}}, "stylegan.penalty_every: found 0; accepted: greater than or equal to 1"),
        ({"stylegan": {"style_mixing": 1.5}}, "stylegan.style_mixing: found 1.5; accepted: less than or equal to 1"),
        (
            {"stylegan": {"condition_ramp": [0.4, 0.2]}},
            r"stylegan.condition_ramp: found \[0.4, 0.2\]; accepted: two shares, the lower first",
        ),
        (
            {"stylegan": {"conditions": ["smile", "hair_color", "smile"]}},
            "stylegan.conditions: found smile more than once; accepted: distinct groups and tags",
        ),
        *(
            (
                {"stylegan": {"conditions": [name]}},
                f"stylegan.conditions: found '{name}'; accepted: groups and tags, without =, and not none",
            )
            for name in ("", "none", "a=1")
        ),
        ({"stylegan": {"condition_ramp": [0, 2]}}, "stylegan.condition_ramp.1: found 2; accepted: less than .* 1"),
        (
            {"stylegan": {"initial": "no.folder"}},
            "stylegan.initial: found 'no.folder', which is not there; accepted: .*",
        ),
        (
            {"edits": {"attributes": {"smile": "lips"}}},
            "edits.attributes.smile: found 'lips'; accepted: 'background', 'skin', .*",
        ),
        ({"edits": {"attributes": {"../up": "mouth"}}}, "edits.attributes.../up: found '../up'; accepted: .*"),
        (
            {"edits": {"attributes": {name: None for name in ("open_mouth", "smile", "blonde_hair")}}},
            "edits.attributes: found {.*}; accepted: .* at least 1 item .*",
        ),
        (
            {"propagation": {"labelled": "results/a/stylegan_review/labelme"}},
            "propagation.labelled: found .*labelme, which a rule makes anew; accepted: a copy elsewhere",
        ),
        ({"propagation": {"portraits": 0}}, "propagation.portraits: found 0; accepted: greater than or equal to 1"),
        ({"edits": {"channels": 0}}, "edits.channels: found 0; accepted: greater than or equal to 1"),
        ({"sample": None}, "sample: found nothing; accepted: a section, which kind 'sample' needs"),
        ({"unet": {"encoder_weights": 5}}, "unet.encoder_weights: found 5; accepted: 'imagenet'.*"),
        ({"vae": None}, "vae: found None; accepted: .*"),
    ],
)
def test_a_fault_is_one_line_with_key_value_and_what_is_accepted(changes, line):
    with pytest.raises(UserError, match=f"^{line}$"):
        validate(sample_config(**changes))


def test_a_file_where_a_folder_is_wanted_is_called_so(tmp_path):
    (tmp_path / "a.zip").touch()
    with pytest.raises(UserError, match="^source.labelled: found '.*/a.zip', a file; accepted: a folder$"):
        validate(sample_config(source={"images": str(tmp_path), "labelled": str(tmp_path / "a.zip")}))


def test_every_key_of_a_folder_is_one_of_the_config():
    assert [validate(sample_config()).files(key) for key in FOLDERS] == [[]] * len(FOLDERS)


def test_paths_may_begin_at_the_users_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("images.zip", "more", "labelled", "masks"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    source = {"images": ["~/images.zip", "~/more", "~nobody.at.all"], "labelled": "~/labelled"}
    (tmp_path / "~nobody.at.all").mkdir()
    source |= {"masks": {"images": "~/more", "masks": "~/masks"}, "sha256": {"~/images.zip": "0" * 64}}
    config = validate(sample_config(source=source, labels={"index_names": ["background"]}))
    assert config.source.images == [tmp_path / "images.zip", tmp_path / "more", Path("~nobody.at.all")]
    assert config.source.labelled == tmp_path / "labelled" and config.source.masks.masks == tmp_path / "masks"
    assert list(config.source.sha256) == [f"{tmp_path}/images.zip"]


def test_a_missing_key_is_named():
    content = sample_config()
    del content["vae"]["z_dim"]
    with pytest.raises(UserError, match="vae.z_dim: found nothing; accepted: a value"):
        validate(content)


def test_generated_files_are_in_step():
    assert json.loads((ROOT / "schemas/config.schema.json").read_text()) == schema(), "run `make generated`"
    environment = subprocess.run(
        [sys.executable, ROOT / "envs/generate.py"], capture_output=True, text=True, check=True
    )
    assert (ROOT / "envs/facemill.yaml").read_text() == environment.stdout, "run `make generated`"
    assert "torch==" in environment.stdout and "pytest" not in environment.stdout
