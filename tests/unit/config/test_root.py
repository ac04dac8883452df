import datetime
from pathlib import Path

import pytest
import yaml
from helpers.configs import ROOT, overlaid, sample_config

from facemill.config.root import Config, unet_settings
from facemill.config.validation import validate
from facemill.data.classes import SEVEN
from facemill.errors import UserError

SAMPLE = validate(sample_config())


@pytest.mark.parametrize("overlay", ["folder", "danbooru", "celeba"])
def test_an_overlay_needs_nothing_but_its_source(overlay, tmp_path):
    content = overlaid(overlay)
    with pytest.raises(UserError, match=f"source.images: found nothing; accepted: .* kind '{overlay}' needs"):
        validate(content)
    locations = {key: str(tmp_path) for key in ("images", "labelled", "attributes")} | {"metadata": [str(tmp_path)]}
    assert validate(content | {"source": locations}).kind == overlay
    del locations["labelled"]
    if overlay == "celeba":
        assert not validate(content | {"source": locations}).masked
        return
    with pytest.raises(
        UserError, match="source.labelled: found nothing; accepted: a path, here or in source.masks; or no"
    ):
        validate(content | {"source": locations})
    without = content | {"source": locations, "tags": content["tags"] | {"sources": ["tags"]}}
    assert not validate(without).masked


def test_ready_made_masks_can_take_the_place_of_labelme_files(tmp_path):
    locations = {key: str(tmp_path) for key in ("images", "attributes")} | {"metadata": [str(tmp_path)]}
    locations |= {"masks": {"images": str(tmp_path), "masks": str(tmp_path)}}
    content = overlaid("celeba")
    settings = validate(content | {"source": locations})
    assert settings.source.masks.masks == tmp_path and len(settings.labels.index_names) == 19
    with pytest.raises(
        UserError, match="labels.index_names: found nothing; accepted: the labels by their index in source.masks"
    ):
        validate(sample_config(kind="folder") | {"source": locations})
    with pytest.raises(UserError, match="source.masks.masks: found '.*nowhere', which is not there; accepted: a path"):
        validate(content | {"source": locations | {"masks": {"images": str(tmp_path), "masks": "nowhere"}}})


@pytest.mark.parametrize(
    ("kind", "filter_", "keys"),
    [
        ("folder", {}, "filter.ratings, min_score, tags_all: found .'g', 's'., 0, .'solo'.; accepted: .. or null"),
        ("folder", {"ratings": [], "tags_all": []}, "filter.min_score: found 0; accepted"),
        ("celeba", {"ratings": [], "min_score": None, "max_age": 9}, "filter.max_age: found 9; accepted"),
        ("celeba", {"ratings": [], "min_score": 0, "tags_all": ["Smiling"]}, "filter.min_score: found 0;"),
    ],
)
def test_a_filter_that_a_kind_of_source_cannot_meet_is_refused(tmp_path, kind, filter_, keys):
    source = {key: str(tmp_path) for key in ("images", "labelled", "attributes")}
    with pytest.raises(UserError, match=keys) as caught:
        validate(sample_config(kind=kind, source=source, filter=filter_))
    assert f"config/{kind}.yaml" in str(caught.value)


def test_a_filter_of_tags_is_met_where_a_folder_has_a_file_of_tags(tmp_path):
    source = {key: str(tmp_path) for key in ("images", "labelled")}
    content = overlaid("folder", filter={"tags_all": ["solo"], "min_size": 64}, source=source)
    with pytest.raises(
        UserError, match=r"^filter.tags_all: found \['solo'\]; accepted: .*, and tags only in source.tags"
    ):
        validate(content)
    assert validate(content | {"source": source | {"tags": str(tmp_path)}}).filter.tags_all == ["solo"]
    celeba = overlaid("celeba", filter={"tags_all": ["Smiling"]}, source=source | {"attributes": str(tmp_path)})
    assert validate(celeba).filter.tags_all == ["Smiling"]


def test_a_class_that_is_missing_from_merge_is_named():
    content = sample_config()
    del content["labels"]["merge"]["hair"]
    with pytest.raises(UserError, match="labels.merge.hair: found nothing; accepted: at least one label"):
        validate(content)


def test_licenses_are_of_the_dataset_the_models_or_a_path():
    licenses = {"dataset": "cc-by-4.0", "models": "mit", "gaugan.vgg_weights": "BSD-3-Clause", "source.images": "null"}
    assert "source.images" not in validate(sample_config(licenses=licenses)).licenses
    with pytest.raises(
        UserError, match=r"^licenses: found 'gaugan\.seed'; accepted: dataset, models, .*source\.images.*vgg_weights"
    ):
        validate(sample_config(licenses={"gaugan.seed": "mit"}))


def test_dates_may_be_written_as_yaml_dates():
    settings = validate(
        sample_config(filter={"created_after": datetime.date(2019, 5, 1), "created_before": "2020-01-01"})
    )
    assert (settings.filter.created_after, settings.filter.created_before) == ("2019-05-01", "2020-01-01")


def test_null_takes_a_hair_color_away():
    assert "red_hair" not in validate(sample_config(tags={"hair_colors": {"red_hair": None}})).tags.hair_colors


def test_values_may_come_as_strings_as_snakemake_hands_them_on():
    changes = {"portraits": {"size": "256"}, "filter": {"min_score": "null"}, "vae": {"kl_weight": "1e-3"}}
    settings = validate(sample_config(**changes))
    assert (settings.portraits.size, settings.filter.min_score, settings.vae.kl_weight) == (256, None, 0.001)


def test_unet_settings_hold_what_concerns_one_version():
    settings = unet_settings(validate(sample_config()), "v1")
    assert (settings.decoder, settings.downscale) == ("transposed", 4)
    fold = unet_settings(validate(sample_config()), "v3", validate(sample_config()).label_quality.training)
    assert (fold.decoder, fold.training.images) == ("upsample", 4000)
    changed = validate(sample_config(unet={"versions": {"v2": {"training": {"batch": 3}}}}))
    assert unet_settings(changed, "v1") == settings
    assert unet_settings(changed, "v2").training.batch == 3


def test_settings_round_trip_through_json():
    settings = validate(sample_config())
    for section in (
        settings.filter,
        settings.labels,
        settings.tags,
        settings.source,
        unet_settings(settings, "v3"),
        settings,
    ):
        assert type(section).model_validate_json(section.model_dump_json()) == section


def test_the_default_classes_are_those_of_the_sample():
    del (content := sample_config())["classes"]
    assert validate(sample_config()).classes == validate(content).classes == SEVEN


@pytest.mark.parametrize("changes", [{}, yaml.safe_load((ROOT / "tests/workflow/tiny.yaml").read_text())])
def test_the_fine_classes_replace_the_seven(changes):
    settings = validate(overlaid("fine", **changes | {"dataset": "fine"}))
    names = settings.classes.names
    assert len(names) == 15 and set(settings.labels.merge) == set(names)
    assert all(name in settings.labels.merge[name] for name in names)
    assert settings.classes.role_ids("eye") == tuple(map(names.index, ("eyeball", "pupil", "eyelash")))
    labels = [sorted(label for merged in c.labels.merge.values() for label in merged) for c in (settings, SAMPLE)]
    assert labels[0] == labels[1]


def test_null_removes_a_class_from_merge():
    with pytest.raises(UserError, match="labels.merge.eye: found nothing; accepted: at least one label"):
        validate(sample_config(labels={"merge": {"eye": None}}))
    two = [{"name": "background", "color": "#000000", "role": "background"}, {"name": "hair", "color": "#ffffff"}]
    merge = dict.fromkeys(("skin", "face", "eye", "mouth", "clothes"))
    settings = validate(sample_config(classes=two, labels={"merge": merge}))
    assert list(settings.labels.merge) == ["background", "hair"] and settings.classes.root[1].role is None
    with pytest.raises(UserError, match="unet.class_weights.eye: found 'eye'; accepted: background, hair$"):
        validate(sample_config(classes=two, labels={"merge": merge}, unet={"class_weights": {"eye": 2}}))


def test_the_background_needs_no_label():
    assert validate(sample_config(labels={"merge": {"background": []}})).labels.merge["background"] == []


def test_paths_are_found_by_their_fields(tmp_path):
    weights = tmp_path / "w.safetensors"
    weights.touch()
    settings = validate(sample_config(unet={"encoder_weights": str(weights)}, gaugan={"vgg_weights": None}))
    assert settings.paths() == {"unet.encoder_weights": weights}
    assert settings.files("unet.encoder_weights") == [weights]
    assert settings.files("gaugan.vgg_weights") == settings.files("portraits.person.files") == []
    assert validate(sample_config(unet={"encoder_weights": "imagenet"})).paths() == {}


def test_every_path_has_a_key():
    source = {"images": "i", "masks": {"images": "mi", "masks": "mm"}, "metadata": ["https://a.org/0", "m1"]}
    source |= {key: key for key in ("labelled", "attributes", "partition", "tags")}
    detector, person = {"kind": "cascade", "cascade": "c"}, {"tagger": "i2v", "files": "p"}
    settings = Config.model_validate(
        sample_config(
            source=source,
            labels={"index_names": ["background"]},
            portraits={"detector": detector, "person": person, "rejected_ids": ["r0", "r1"]},
            unet={"encoder_weights": "e"},
            gaugan={"vgg_weights": "v", "inception_weights": "f"},
            tags={"i2v": "i2v", "wd14": "w"},
        )
    )
    assert settings.paths() == {
        "source.images": Path("i"),
        "source.labelled": Path("labelled"),
        "source.masks.images": Path("mi"),
        "source.masks.masks": Path("mm"),
        "source.metadata.1": Path("m1"),
        "source.attributes": Path("attributes"),
        "source.partition": Path("partition"),
        "source.tags": Path("tags"),
        "portraits.detector.cascade": Path("c"),
        "portraits.person.files": Path("p"),
        "portraits.rejected_ids.0": Path("r0"),
        "portraits.rejected_ids.1": Path("r1"),
        "unet.encoder_weights": Path("e"),
        "gaugan.vgg_weights": Path("v"),
        "gaugan.inception_weights": Path("f"),
        "tags.i2v": Path("i2v"),
        "tags.wd14": Path("w"),
    }
    assert settings.files("source.metadata") == [Path("m1")]
    assert settings.files("portraits.rejected_ids") == [Path("r0"), Path("r1")]


@pytest.mark.parametrize("key", ["gaugan.vgg_wieghts", "gaugan.preset", "gaugan", "tags.i2v.0", ""])
def test_a_key_of_no_path_raises(key):
    with pytest.raises(KeyError, match=f"config: found no path '{key}'; accepted: source.images, source.labelled, .*"):
        SAMPLE.files(key)


def test_every_setting_is_written_out_in_the_sample():
    def keys(content: dict) -> set[str]:
        return {f"{k}.{rest}" for k, v in content.items() for rest in (keys(v) if isinstance(v, dict) else [""])}

    assert keys(Config.model_validate(sample_config()).model_dump()) == keys(sample_config())


def test_the_perceptual_loss_is_vggs_where_a_config_names_its_weights_alone(tmp_path):
    weights = tmp_path / "vgg.safetensors"
    weights.touch()

    def perceptual(**gaugan) -> str:
        return validate(sample_config(gaugan=gaugan)).gaugan.perceptual

    assert perceptual() == "none"
    assert perceptual(vgg_weights=str(weights)) == perceptual(vgg_weights=str(weights), perceptual="null") == "vgg"
    assert perceptual(vgg_weights=str(weights), perceptual="none") == "none"
    assert perceptual(vgg_weights=str(weights), perceptual="unet") == perceptual(perceptual="unet") == "unet"


def test_files_that_gaugan_alone_is_evaluated_with_are_no_settings_of_its_training():
    files = {"vgg_weights": Path("v"), "inception_weights": Path("i")}
    trained = {
        name: SAMPLE.gaugan.model_copy(update=files | {"perceptual": name}).for_training for name in ("vgg", "unet")
    }
    assert {name: settings.vgg_weights for name, settings in trained.items()} == {"vgg": Path("v"), "unet": None}
    assert {settings.inception_weights for settings in trained.values()} == {None}
    assert trained["unet"].perceptual == "unet"
