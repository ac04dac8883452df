"""Edit files: written and read again, refused, and what they add."""

import json

import numpy as np
import pytest
import torch

from facemill.data.classes import SEVEN, Class, ClassTable
from facemill.errors import UserError
from facemill.inference.sampler import Sampler
from facemill.stylegan.edits import (
    Applied,
    Edit,
    EditRegion,
    Kept,
    LocalEdit,
    class_ids,
    lock_layer,
    map_deviations,
    paint_edited,
)

MODEL = "ab" * 32
CONTENT = {
    "name": "mouth_open",
    "model": MODEL,
    "layer": 5,
    "channels": {"3": 2.1, "7": -0.8},
    "region": {"class": "mouth", "grow": 2},
    "strength": 1.0,
}


@pytest.fixture
def sampler(save_generator) -> Sampler:
    """Of 32 px, with 8 maps in each of seven layers."""
    return Sampler.load(save_generator())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "edit.json"


def test_an_edit_file_is_read_as_it_was_written(sampler, path):
    path.write_text(json.dumps(CONTENT))
    edit = Edit.read(path, MODEL, sampler.generator, SEVEN)
    assert edit.channels == {3: 2.1, 7: -0.8} and edit.region == EditRegion.model_validate(
        {"class": "mouth", "grow": 2}
    )
    edit.write(path)
    assert Edit.read(path, MODEL, sampler.generator, SEVEN) == edit
    assert json.loads(path.read_text()).items() >= CONTENT.items()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "cd" * 32}, "model: found cdcdcdcdcdcd..., another model's; accepted: abab"),
        ({"model": "x"}, "model: found 'x'; accepted: "),
        ({"layer": 7}, "layer: found 7; accepted: 0 to 6"),
        ({"layer": -1}, "layer: found -1; accepted: greater than or equal to 0"),
        ({"channels": {"8": 1}}, "channels: found 8; accepted: 0 to 7, those of layer 5"),
        ({"channels": {"-1": 1}}, "channels.-1: found "),
        ({"channels": {"a": 1}}, "channels.a: found 'a'; accepted: "),
        ({"channels": {"1": float("nan")}}, "channels.1 is NaN; accepted: a number"),
        ({"channels": {"1": 1e9}}, "channels.1: found 1000000000.0; accepted: less than or equal to 10000"),
        ({"channels": {"1": "much"}}, "channels.1: found 'much'; accepted: "),
        (
            {"region": {"class": "nose"}},
            "region.class: found 'nose'; accepted: background, skin, face, eye, mouth, hair",
        ),
        ({"region": {"class": "mouth", "grow": -1}}, "region.grow: found -1; accepted: greater than or equal to 0"),
        ({"region": {"grow": 1}}, "region.class: found nothing; accepted: a value"),
        ({"region": "mouth"}, "region: found 'mouth'; accepted: "),
        ({"strength": float("inf")}, "strength is Infinity; accepted: a number"),
        ({"name": "../up"}, "name: found '../up'; accepted: "),
        ({"channel": {}}, "channel: unknown key; accepted: name, model, layer, channels, region, strength"),
    ],
)
def test_what_is_no_edit_of_this_model_is_refused_in_one_line(sampler, path, change, said):
    path.write_text(json.dumps(CONTENT | change))
    with pytest.raises(UserError) as error:
        Edit.read(path, MODEL, sampler.generator, SEVEN)
    assert str(error.value).startswith(f"{path}: {said}") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory; accepted: an edit file (JSON)"),
        (b"", "an empty file"),
        (b"{", "malformed JSON ("),
        (b"[]", "its content: found []; accepted: "),
        (b"{}", "name: found nothing; accepted: a value"),
        (b" " * (1 << 20) + b"{}", "more than 1 MB; accepted: an edit file (JSON)"),
        (b"\xff\xfe", "malformed JSON ("),
    ],
)
def test_what_is_no_json_is_refused_in_one_line(sampler, path, content, said):
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as error:
        Edit.read(path, MODEL, sampler.generator, SEVEN)
    assert str(error.value).startswith(f"{path}: {said}") and "\n" not in str(error.value)


def test_a_region_is_of_a_class_or_of_a_role():
    table = ClassTable(
        tuple(
            Class(name=name, color=f"#00000{i}", role=role)
            for i, (name, role) in enumerate(
                [("around", "background"), ("pupil", "eye"), ("lash", "eye"), ("hat", None)]
            )
        )
    )
    assert (class_ids("pupil", table), class_ids("eye", table), class_ids("hat", table)) == ([1], [1, 2], [3])
    mask = np.zeros((2, 8, 8), np.uint8)
    mask[0, 4, 4], mask[0, 4, 5] = 1, 2
    region = EditRegion.model_validate({"class": "eye", "grow": 1}).of(mask, table)
    assert region[0].sum() == 8 and region[0, 3, 4] and not region[0, 3, 3] and not region[1].any()
    assert EditRegion.model_validate({"class": "lash"}).of(mask, table)[0].sum() == 1


def test_values_are_deviations_of_maps_and_strengths_are_factors(sampler):
    deviations = map_deviations(sampler)
    assert [len(deviation) for deviation in deviations] == [8] * 7
    edit = LocalEdit.of(Edit.model_validate(CONTENT | {"strength": 2}), deviations)
    torch.testing.assert_close(edit.vector[3], 2 * 2.1 * deviations[5][3])
    torch.testing.assert_close(edit.vector[7], -2 * 0.8 * deviations[5][7])
    assert (edit.vector != 0).sum() == 2
    share = torch.full((1, 1, 32, 32), 0.5)
    torch.testing.assert_close(edit.change(share, -1)[0, :, 4, 4], -0.5 * edit.vector)


def test_many_portraits_are_painted_as_the_generator_paints_them_and_kept_outside(sampler):
    styles = sampler.truncated(range(70), 1).cpu()
    moved = sampler.truncated(range(100, 170), 1).cpu()
    regions = np.zeros((70, 32, 32), bool)
    regions[:, 10:20, 8:16] = True
    before = paint_edited(sampler, styles)
    assert np.array_equal(before, sampler.generate(styles))
    locked = paint_edited(sampler, moved, kept=Kept(styles, regions))
    assert np.array_equal(locked[~regions], before[~regions]) and (locked[regions] != before[regions]).mean() > 0.5
    edit = LocalEdit.from_values(6, {0: 5.0}, map_deviations(sampler))
    local = paint_edited(sampler, styles, [Applied(edit, regions)])
    assert np.array_equal(local[~regions], before[~regions]) and (local[regions] != before[regions]).any()
    both = paint_edited(sampler, styles, [Applied(edit, regions), Applied(edit, regions, -1)])
    assert np.array_equal(both, before)
    assert lock_layer(sampler.generator) == 1
