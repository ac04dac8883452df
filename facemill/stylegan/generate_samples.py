"""Generated portraits as a product of shards: with masks, styles, and whether they are accepted."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from facemill.config.segment import PseudoLabelsConfig
from facemill.config.stylegan import GeneratedConfig
from facemill.data.batching import batched
from facemill.data.classes import ClassTable
from facemill.data.shards import IMAGE, encode_mask, write_shard
from facemill.errors import UserError
from facemill.inference.backends import fastest_backend
from facemill.inference.sampler import Sampler
from facemill.log import log, progress
from facemill.networks.device import autocast, device
from facemill.networks.store import load_model, model_classes
from facemill.networks.style_discriminator import GROUP, StyleDiscriminator
from facemill.networks.unet import Unet
from facemill.networks.vae import to_signed_range
from facemill.segment.gate_pseudo_labels import gate_rows
from facemill.stylegan.masks import masks_of, resized
from facemill.stylegan.validity import Limits, are_valid, measure_mask, read_limits
from facemill.taggers.probes import Probes, thumbnails
from facemill.taggers.tagger import TaggerInput

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("image", IMAGE),
        ("tags", pa.list_(pa.string())),
        ("w", pa.list_(pa.float32())),
        ("seed", pa.int64()),
        ("logit", pa.float32()),
        ("rejected", pa.string()),
    ]
)
"""Rows of a shard of generated portraits.

`w`: the truncated style. `logit`: of the discriminator, above 0 for portraits that it takes for real ones.
"""

MASK_COLUMNS = [("mask", IMAGE), ("confidence", pa.float32()), ("flip_disagreement", pa.float32())]
"""Further columns where there are masks, as in shards of pseudo-labels."""

INVALID = "parts of no portrait"
"""Why portraits are rejected whose masks are not valid (`are_valid`)."""

BATCH = 64


def generate_samples(
    *,
    model: Path,
    discriminator: Path,
    unet: Path | None = None,
    mask_limits: Path | None = None,
    probes: Path | None = None,
    settings: GeneratedConfig,
    limits: PseudoLabelsConfig,
    shard: int,
    shards: int,
    generated: Path,
) -> None:
    """Generates the portraits of one shard, those of seeds from 0 on, and labels them.

    Args:
        model: StyleGAN's generator.
        discriminator: StyleGAN's discriminator, whose logits rank the portraits.
        unet: labels the portraits, where there are masks.
        mask_limits: what the masks of real portraits have (`evaluate_stylegan`), where there are masks.
        probes: linear probes of pixels that tag the portraits, where no other source of tags can see them.
        settings: the section `generated`.
        limits: the section `pseudo_labels`, with the least confidence of a generated portrait.
        shard: number of the shard.
        shards: number of all shards, to which the seeds are dealt out in turn.
        generated: shard of the portraits to write.

    Raises:
        UserError: Either of `unet` and `mask_limits` is given alone.
    """
    if (unet is None) != (mask_limits is None):
        raise UserError(f"unet {unet}, mask_limits {mask_limits}: found one of them; accepted: both, or none")
    sampler = Sampler.load(model)
    scorer = Scorer(load_model(StyleDiscriminator, discriminator), sampler)
    labeller = None
    if unet and mask_limits:
        labeller = Labeller(load_model(Unet, unet), model_classes(unet), limits, read_limits(mask_limits))
    tagger = Probes.load(probes, thumbnails) if probes else None
    rows: list[dict] = []
    seeds = range(shard, settings.portraits, shards)
    for batch in batched(progress(seeds, f"generate_samples {shard:04}", len(seeds)), BATCH):
        styles = sampler.truncated(batch, settings.truncation)
        images = sampler.generate(styles)
        portraits = portrait_rows(batch, images, styles, scorer.logits(batch, images), tagger)
        rows += labeller.labelled(portraits, images) if labeller else portraits
    schema, classes = (with_masks(SCHEMA), labeller.classes) if labeller else (SCHEMA, None)
    write_shard(generated, rows, schema, classes)
    accepted = sum(row["rejected"] is None for row in rows)
    log.info("generate_samples: %d of %d generated portraits are accepted", accepted, len(rows))


def with_masks(schema: pa.Schema) -> pa.Schema:
    """The columns of generated portraits and of their masks, the mask after the image."""
    fields = [*schema]
    return pa.schema([*fields[:2], *MASK_COLUMNS, *fields[2:]])


def portrait_id(seed: int) -> str:
    """The id of a seed's portrait."""
    return f"seed-{seed:06}"


def portrait_rows(
    seeds: Sequence[int], images: np.ndarray, styles: Tensor, logits: np.ndarray, probes: Probes | None
) -> list[dict]:
    """Rows of `SCHEMA`, all accepted.

    Args:
        seeds: N numbers.
        images: uint8 RGB (N, H, W, 3).
        styles: float32 (N, w_dim).
        logits: float32 (N,).
        probes: give the tags; none without.
    """
    tags: list[list[str]] = [[]] * len(seeds)
    if probes:
        tags = [
            [name for name, probability in zip(probes.names, row, strict=True) if probability > probes.threshold]
            for row in probes.probabilities([TaggerInput(image) for image in images])
        ]
    return [
        {"id": portrait_id(seed), "seed": seed, "image": encoded(image, portrait_id(seed)), "w": w, "logit": logit}
        | {"tags": names, "rejected": None}
        for seed, image, w, logit, names in zip(seeds, images, styles.cpu().numpy(), logits, tags, strict=True)
    ]


def encoded(image: np.ndarray, row_id: str) -> dict[str, object]:
    """An image column's value: uint8 RGB (H, W, 3) as a PNG."""
    png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
    return {"bytes": png, "path": f"{row_id}.png"}


class Labeller:
    """A U-Net that labels generated portraits, and the gate that accepts or rejects them.

    Args:
        unet: the U-Net.
        classes: its class table.
        limits: of accepted portraits.
        mask_limits: what the masks of accepted portraits have.
    """

    def __init__(self, unet: Unet, classes: ClassTable, limits: PseudoLabelsConfig, mask_limits: Limits) -> None:
        self.backend, self.height, self.classes = fastest_backend(unet), unet.size, classes
        self.limits, self.mask_limits = limits, mask_limits

    def labelled(self, rows: Sequence[dict], images: np.ndarray) -> list[dict]:
        """Rows of `SCHEMA` with the `MASK_COLUMNS`, of images, uint8 RGB (N, H, W, 3), and `rejected` by the gate."""
        seen = masks_of(self.backend, resized(images, self.height))
        labelled = []
        for row, mask, confidence, disagreement in zip(rows, *seen, strict=True):
            small = cv2.resize(mask, images.shape[2:0:-1], interpolation=cv2.INTER_NEAREST_EXACT)
            encoded_mask = {"bytes": encode_mask(small, self.classes), "path": f"{row['id']}.png"}
            numbers = {"confidence": float(confidence), "flip_disagreement": float(disagreement)}
            labelled.append(row | {"mask": encoded_mask} | numbers)
        reasons = self._reasons(labelled, seen.masks)
        return [row | {"rejected": why} for row, why in zip(labelled, reasons, strict=True)]

    def _reasons(self, rows: Sequence[dict], masks: np.ndarray) -> list[str | None]:
        """Why each portrait is rejected; None for an accepted one."""
        measures = np.stack([measure_mask(mask, self.classes) for mask in masks])
        reasons = [[row["rejected"]] for row in gate_rows(rows, self.limits)]
        for reason, valid in zip(reasons, are_valid(measures, self.mask_limits, self.classes), strict=True):
            reason.append(None if valid else INVALID)
        return ["; ".join(filter(None, reason)) or None for reason in reasons]


class Scorer:
    """A discriminator's logits of generated portraits.

    It reads the deviation among the images of a group. Each portrait is in a group with those of the same seeds, the
    first ones, so that its logit does not depend on which others are scored.
    """

    def __init__(self, discriminator: StyleDiscriminator, sampler: Sampler) -> None:
        self.discriminator, self.sampler = discriminator, sampler
        others = range(GROUP - 1)
        self.others = self._images(sampler.generate(sampler.styles(sampler.codes(others), sampler.slots(others))))

    @torch.inference_mode()
    def logits(self, seeds: Sequence[int], images: np.ndarray) -> np.ndarray:
        """Logits, float32 (N,), of the portraits, uint8 RGB (N, H, W, 3), of these seeds."""
        condition = self.sampler.generator.condition(self.sampler.slots(seeds))
        batch = torch.cat([self._images(images), self.others.repeat_interleave(len(images), 0)])
        with autocast():
            output = self.discriminator(batch, None if condition is None else condition.repeat(GROUP, 1))
        return np.asarray(output.logits[: len(images)].float().cpu().numpy())

    @staticmethod
    def _images(images: np.ndarray) -> Tensor:
        return to_signed_range(torch.from_numpy(images).permute(0, 3, 1, 2).to(device()))
