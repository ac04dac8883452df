"""Shards of generated portraits: seeds, styles, logits, masks, and which are accepted."""

import numpy as np
import pytest
import torch
from helpers.scenes import ColorUnet, save_varied_unet

from facemill.config.segment import PseudoLabelsConfig
from facemill.config.stylegan import GeneratedConfig
from facemill.data.classes import SEVEN
from facemill.data.shards import decode_image, decode_mask, mask_classes, open_shard, read_rows
from facemill.errors import UserError
from facemill.imaging.figures import colorize
from facemill.inference.sampler import Sampler
from facemill.networks.store import load_model, save_model
from facemill.networks.style_discriminator import StyleDiscriminator
from facemill.networks.vae import to_signed_range
from facemill.stylegan.generate_samples import INVALID, Labeller, generate_samples
from facemill.stylegan.validity import Limits, mask_limits, measure_mask, write_limits
from facemill.taggers.probes import THUMBNAIL, Probes

LIMITS = PseudoLabelsConfig(version="v3", min_confidence=0, max_flip_disagreement=1)
NONE = Limits(np.full(5, 1e6), np.full(5, 1e6))
"""That no mask is within."""
CONDITIONS = {"hair_color": ["black_hair", "red_hair"]}


def save_discriminator(path, ratio=1, slots=()):
    torch.manual_seed(1)
    arguments = {"channels": [8] * (4 if ratio == 1 else 3), "ratio": ratio, "slots": list(slots)}
    save_model(path, StyleDiscriminator(**arguments), arguments, {})
    return path


@pytest.fixture
def options(save_generator, tmp_path) -> dict:
    """Options for seven portraits, truncated to .7, in one shard, without masks."""
    return {
        "model": save_generator(),
        "discriminator": save_discriminator(tmp_path / "discriminator.safetensors"),
        "settings": GeneratedConfig(portraits=7, truncation=0.7, min_confidence=0.9),
        "limits": LIMITS,
        "shard": 0,
        "shards": 1,
        "generated": tmp_path / "generated.parquet",
    }


def generated(options: dict, **changed) -> list[dict]:
    """The rows of a shard."""
    generate_samples(**options | changed)
    return list(read_rows([options["generated"]]))


def masked(options: dict) -> dict:
    """Options for portraits with masks, of which none is valid."""
    folder = options["generated"].parent
    write_limits(folder / "limits.json", NONE, SEVEN)
    return options | {"unet": save_varied_unet(folder / "unet.safetensors"), "mask_limits": folder / "limits.json"}


def test_seeds_are_dealt_out_to_shards_and_each_gives_its_portrait(options):
    parts = [generated(options, shard=shard, shards=2) for shard in range(2)]
    assert [[row["seed"] for row in rows] for rows in parts] == [[0, 2, 4, 6], [1, 3, 5]]
    sampler = Sampler.load(options["model"])
    for row in [row for rows in parts for row in rows]:
        styles = sampler.truncated([row["seed"]], 0.7)
        assert row["id"] == f"seed-{row['seed']:06}" and row["rejected"] is None and row["tags"] == []
        np.testing.assert_allclose(row["w"], styles[0], atol=1e-6)
        portrait = decode_image(row["image"]["bytes"]).astype(int)
        assert np.abs(portrait - sampler.generate(styles)[0]).max() <= 3, "the same but for bfloat16"
        assert portrait.std() > 1
    with open_shard(options["generated"]) as shard:
        assert "mask" not in shard.schema_arrow.names


@pytest.mark.parametrize("conditions", [{}, CONDITIONS])
def test_logits_are_the_discriminators_among_the_first_seeds(options, save_generator, tmp_path, conditions):
    slots = [len(names) + 1 for names in conditions.values()]
    model = save_generator("other", conditions=conditions)
    judge = load_model(StyleDiscriminator, save_discriminator(tmp_path / "judge.safetensors", slots=slots))
    rows = generated(options, model=model, discriminator=tmp_path / "judge.safetensors")
    sampler = Sampler.load(model)
    others = sampler.generate(sampler.truncated(range(3), 1))
    for row in rows:
        images = np.stack([decode_image(row["image"]["bytes"]), *others])
        condition = sampler.generator.condition(sampler.slots([row["seed"]] * 4))
        with torch.inference_mode():
            logits = judge(to_signed_range(torch.from_numpy(images).permute(0, 3, 1, 2)), condition).logits
        assert row["logit"] == pytest.approx(logits[0].item(), abs=0.02), "of bfloat16"
    assert np.std([row["logit"] for row in rows]) > 0.05


def test_masks_have_the_portraits_size_and_classes_and_the_gate_gives_its_reasons(options, save_generator, tmp_path):
    judge = save_discriminator(tmp_path / "judge.safetensors", ratio=2)
    unsure = LIMITS.model_copy(update={"min_confidence": 0.99})
    rows = generated(masked(options), model=save_generator("other", 2), discriminator=judge, limits=unsure)
    assert mask_classes([options["generated"]]) == SEVEN
    masks = np.stack([decode_mask(row["mask"]["bytes"], SEVEN) for row in rows])
    assert masks.shape == (7, 32, 16) and len(np.unique(masks)) > 1
    assert all(0 < row["confidence"] < 1 and 0 <= row["flip_disagreement"] <= 1 for row in rows)
    assert [row["rejected"] for row in rows] == [
        f"confidence {row['confidence']:.4f}, less than 0.99; {INVALID}" for row in rows
    ]


def test_a_second_mouth_is_rejected():
    usual = np.zeros((64, 64), np.uint8)
    usual[8:44, 16:48], usual[16:44, 20:44], usual[44:, 8:56] = (
        SEVEN.names.index(name) for name in ("hair", "face", "clothes")
    )
    usual[22:26, 24:40], usual[36:40, 28:36] = SEVEN.names.index("eye"), SEVEN.names.index("mouth")
    second = usual.copy()
    second[28:32, 28:36] = SEVEN.names.index("mouth")
    real = mask_limits(np.stack([measure_mask(usual, SEVEN)] * 2))
    labeller = Labeller(ColorUnet(64).eval(), SEVEN, LIMITS, real)
    images = np.stack([colorize(mask, SEVEN) for mask in (usual, second)])
    rows = labeller.labelled([{"id": "a"}, {"id": "b"}], images)
    assert [row["rejected"] for row in rows] == [None, INVALID]
    assert (decode_mask(rows[1]["mask"]["bytes"], SEVEN) == second).all()


def test_probes_tag_where_they_are_given(options, tmp_path):
    size = THUMBNAIL**2 * 3
    biases = {"smile": [2], "hat": [-2], "hair_color": [3, 0]}
    tensors = {f"{key}.bias": np.float32(bias) for key, bias in biases.items()}
    tensors |= {f"{key}.weight": np.zeros((size, len(bias)), np.float32) for key, bias in biases.items()}
    Probes(CONDITIONS, tensors).save(tmp_path / "probes.safetensors")
    rows = generated(options, probes=tmp_path / "probes.safetensors")
    assert [row["tags"] for row in rows] == [["black_hair", "smile"]] * 7


def test_the_same_options_give_the_same_bytes(options):
    generated(options)
    first = options["generated"].read_bytes()
    generated(options)
    assert options["generated"].read_bytes() == first


@pytest.mark.parametrize("alone", ["unet", "mask_limits"])
def test_a_network_without_limits_is_refused_and_limits_without_a_network(options, alone):
    other = {"unet": "mask_limits", "mask_limits": "unet"}[alone]
    with pytest.raises(UserError, match="found one of them; accepted: both, or none"):
        generate_samples(**masked(options) | {other: None})
