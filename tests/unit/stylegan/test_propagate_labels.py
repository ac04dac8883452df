"""All generated portraits labelled by a few: by the U-Net's masks, or by corrected labelme files."""

import json
import shutil

import numpy as np
import pytest
import yaml
from helpers.running import ROOT

from facemill.config.root import Config
from facemill.config.stylegan import PropagationConfig
from facemill.data.classes import SEVEN
from facemill.data.shards import decode_mask, encode_mask, read_rows, write_shard
from facemill.errors import UserError
from facemill.inference.sampler import Sampler
from facemill.stylegan import pixel_classifier
from facemill.stylegan.generate_samples import SCHEMA, encoded, portrait_id, with_masks
from facemill.stylegan.pixel_classifier import layer_maps
from facemill.stylegan.propagate_labels import propagate_labels
from facemill.stylegan.review_generated import portraits_to_label, review_generated

LABELS = Config.model_validate(yaml.safe_load((ROOT / "config/config.yaml").read_text())).labels
HAIR = SEVEN.names.index("hair")
COUNT = 20


@pytest.fixture(autouse=True)
def small_penalty(monkeypatch):
    """The few maps of a small generator need larger weights than those of a large one."""
    monkeypatch.setattr(pixel_classifier, "INVERSE_PENALTY", 1)


def settings(**changes) -> PropagationConfig:
    return PropagationConfig.model_validate({"portraits": 3, "pixels": 500} | changes)


@pytest.fixture
def inputs(save_generator, tmp_path) -> dict:
    """The arguments of `propagate_labels`: hair is where a map is high; the second portrait is rejected."""
    model = save_generator() / "model.safetensors"
    sampler = Sampler.load(model)
    styles = sampler.truncated(range(COUNT), 1).cpu()
    maps = layer_maps(sampler, styles)[-1][:, 0].numpy()
    masks = np.where(maps > np.median(maps), HAIR, 0).astype(np.uint8)
    rows = [
        {"id": portrait_id(seed), "image": encoded(image, str(seed)), "mask": {"bytes": encode_mask(mask, SEVEN)}}
        | {"tags": [], "w": w.tolist(), "seed": seed, "logit": 0.0, "confidence": 1.0, "flip_disagreement": 0.0}
        | {"rejected": "unsure" if seed == 1 else None}
        for seed, image, mask, w in zip(range(COUNT), sampler.generate(styles), masks, styles, strict=True)
    ]
    shards = [tmp_path / "generated" / f"shard-000{number}.parquet" for number in (0, 1)]
    for number, shard in enumerate(shards):
        write_shard(shard, rows[number::2], with_masks(SCHEMA), SEVEN)
    return {
        "model": model,
        "generated": shards,
        "settings": settings(),
        "labels": LABELS,
        "propagated": [tmp_path / "propagated" / shard.name for shard in shards],
        "metrics": tmp_path / "propagation.json",
        "picture": tmp_path / "propagation.png",
    }


def review(inputs, tmp_path):
    folder = tmp_path / "labelme"
    kept = {name: inputs[name] for name in ("generated", "labels")}
    review_generated(**kept, count=3, labelme=folder, picture=tmp_path / "review.png")
    return folder


def test_every_portrait_gets_a_mask_like_those_of_the_labelled_ones(inputs):
    propagate_labels(**inputs)
    figures = json.loads(inputs["metrics"].read_text())
    assert list(figures["by_labelled"]) == ["1", "2", "3"] and len(figures["labelled"]) == 3
    assert figures["portraits"] == COUNT - 1 - 3  # neither rejected nor labelled
    assert figures["by_labelled"]["3"]["miou"] > 0.7 and figures["by_labelled"]["3"]["iou"]["mouth"] is None
    for source, target in zip(inputs["generated"], inputs["propagated"], strict=True):
        given, rows = (list(read_rows([path])) for path in (source, target))
        assert [row["id"] for row in rows] == [row["id"] for row in given]
        same = [
            (decode_mask(row["mask"]["bytes"], SEVEN) == decode_mask(of["mask"]["bytes"], SEVEN)).mean()
            for row, of in zip(rows, given, strict=True)
        ]
        assert np.mean(same) > 0.8 and all(0.5 < row["confidence"] <= 1 for row in rows)
    assert inputs["picture"].exists()


def test_corrected_files_are_what_is_learned(inputs, tmp_path):
    folder = review(inputs, tmp_path)
    files = sorted(path for path in folder.glob("*.json"))
    assert len(files) == 3 and (folder / "labels.txt").exists()
    for path in files:  # in the correction all is hair
        content = json.loads(path.read_text())
        square = [[0, 0], [32, 0], [32, 32], [0, 32]]
        content["shapes"] = [content["shapes"][0] | {"label": LABELS.merge["hair"][0], "points": square}]
        path.write_text(json.dumps(content))
    propagate_labels(**inputs | {"settings": settings(labelled=folder)})
    masks = [decode_mask(row["mask"]["bytes"], SEVEN) for row in read_rows(inputs["propagated"])]
    assert (np.stack(masks) == HAIR).all()


def test_a_label_of_no_generated_portrait_is_refused(inputs, tmp_path):
    folder = review(inputs, tmp_path)
    for path in folder.glob("*000000.*"):
        path.unlink()
    some = sorted(folder.glob("*.json"))[0]
    other = json.loads(some.read_text()) | {"imagePath": "seed-999999.png"}
    (folder / "seed-999999.json").write_text(json.dumps(other))
    (folder / "seed-999999.png").write_bytes(some.with_suffix(".png").read_bytes())
    with pytest.raises(UserError, match="seed-999999 is no generated portrait; accepted: those of stylegan_review"):
        propagate_labels(**inputs | {"settings": settings(labelled=folder)})


def test_two_labels_of_one_portrait_are_refused(inputs, tmp_path):
    folder = review(inputs, tmp_path)
    shutil.copytree(folder, folder / "again")
    with pytest.raises(UserError, match=r"seed-\d+.json: seed-\d+ has another label; accepted: .* once each"):
        propagate_labels(**inputs | {"settings": settings(labelled=folder)})


def test_a_damaged_label_is_refused_by_name(inputs, tmp_path):
    folder = review(inputs, tmp_path)
    path = sorted(folder.glob("*.json"))[0]
    path.write_text("{")
    with pytest.raises(UserError, match=path.name):
        propagate_labels(**inputs | {"settings": settings(labelled=folder)})


def test_portraits_to_label_are_accepted_ones_and_the_first_stay_the_same(inputs):
    few, everything = (portraits_to_label(inputs["generated"], SEVEN, count).ids for count in (4, COUNT))
    assert everything[:4] == few and len(set(everything)) == COUNT - 1 and "seed-000001" not in everything
