"""What translation through masks must know of both collections: proportions, colors and styles."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from facemill.config.ingest import Cropping
from facemill.config.runs import settings_of
from facemill.data.batching import batched
from facemill.data.classes import IGNORE
from facemill.data.dataset import ShardDataset, sample_rows
from facemill.data.shards import mask_classes
from facemill.data.splits import trained_on
from facemill.errors import UserError
from facemill.inference.painter import Painter
from facemill.log import log
from facemill.synthesize.train_gaugan import copy_model
from facemill.translate.domains import role_table
from facemill.translate.proportions import Proportions
from facemill.translate.style_bank import StyleBank, lab_of
from facemill.translate.through_masks import GAUGAN, UNET, CollectionStatistics, save_bank

MOST = 2000
"""Portraits of each collection that are measured at most."""

BATCH = 16


def learn_through_masks(
    *,
    unet: Path,
    gaugan: Path,
    style_encoder: Path,
    portraits: list[Path],
    masks: list[Path] | None = None,
    other: list[Path],
    other_masks: list[Path] | None = None,
    holdout: float,
    cropping: Cropping,
    run: Path | None = None,
    bank: Path,
) -> None:
    """Measures both collections, and puts them beside copies of both networks, so that the folder is complete.

    Args:
        unet: the U-Net that knows the portraits that will be translated, a safetensors file.
        gaugan: the GauGAN of the other collection, a safetensors file.
        style_encoder: the network beside it that reads styles, a safetensors file.
        portraits: shards of the portraits' collection.
        masks: shards of their masks; without any the masks are in `portraits`.
        other: shards of the other collection.
        other_masks: shards of its masks; without any the masks are in `other`.
        holdout: share of the portraits that is held out of both.
        cropping: how the portraits were cropped, for the model's JSON.
        run: another run that the portraits are of, whose settings say it instead.
        bank: safetensors file of what is measured, in the folder of the model.
    """
    here, mean_colors, _ = measured(portraits, masks or [], holdout)
    painter = Painter.load(gaugan, style_encoder=style_encoder)
    there, _, styles = measured(other, other_masks or [], holdout, painter)
    assert styles, "with a painter"
    copy_model(unet, bank.with_name(UNET))
    copy_model(gaugan, bank.with_name(GAUGAN))
    generator = painter.generator
    settings = {"method": "masks", "size": generator.height, "ratio": generator.height / generator.width}
    settings["holdout"] = holdout
    of_run = settings_of(run) if run else None
    cropped = of_run.portraits.cropping if of_run else cropping
    save_bank(bank, CollectionStatistics(here, mean_colors), there, styles, settings | cropped.model_dump(mode="json"))


def measured(
    portraits: Sequence[Path], masks: Sequence[Path], holdout: float, painter: Painter | None = None
) -> tuple[Proportions, np.ndarray, StyleBank | None]:
    """The proportions of a collection, its mean colors, (R, 3), and with its painter the styles of its portraits.

    Raises:
        UserError: There are no masks, or no two show a face with its parts.
    """
    rows = ShardDataset(portraits, masks, trained_on(portraits, holdout))
    if not rows.with_masks:
        raise UserError(f"{portraits[0].parent}: no masks; accepted: portraits with pseudo_labels")
    classes = mask_classes(masks or portraits)
    chosen = sample_rows(rows, MOST)
    pairs = [(pixels.permute(1, 2, 0).numpy(), mask.numpy()) for pixels, mask in (rows[i] for i in chosen)]
    log.info("learn_through_masks: %d portraits of %s", len(pairs), portraits[0].parent)
    table = role_table(classes).numpy()
    roles = [table[mask] for _, mask in pairs]
    try:
        proportions = Proportions.of([np.where(of == IGNORE, 0, of).astype(np.uint8) for of in roles])
    except ValueError as error:
        raise UserError(f"{(masks or portraits)[0].parent}: {error}") from error
    colors = np.stack([lab_of(image, mask, classes) for image, mask in pairs])
    codes = np.concatenate(list(_codes(painter, pairs))) if painter else None
    mean_colors = np.ma.masked_invalid(colors).mean(0).filled(np.nan)  # NaN for a region that no portrait has
    return proportions, mean_colors, None if codes is None else StyleBank(codes, colors)


def _codes(painter: Painter, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Iterator[np.ndarray]:
    """Yields the style codes of portraits with masks batch by batch; of no dimension where the painter reads none."""
    for batch in batched(pairs, BATCH):
        images, masks = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*batch, strict=True))
        codes = painter.encode_styles(images.permute(0, 3, 1, 2), masks) if painter.styles_are_read else None
        yield np.zeros((len(batch), 0), np.float32) if codes is None else codes.numpy()
