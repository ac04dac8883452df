"""Rule `propagate_labels`: masks of generated portraits from a few labelled ones, by the generator's feature maps."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from facemill.config.label import LabelsConfig
from facemill.config.stylegan import PropagationConfig
from facemill.data.batching import batched
from facemill.data.classes import ClassTable
from facemill.data.names import id_of_file
from facemill.data.shards import IMAGE, encode_mask, mask_classes, read_rows, write_shard
from facemill.errors import UserError
from facemill.files import write_json
from facemill.imaging.figures import colorize, image_grid, save_picture
from facemill.inference.sampler import Sampler
from facemill.label.label_files import InvalidLabel, labelme_files
from facemill.log import log
from facemill.metrics.generation import overlaps
from facemill.metrics.segmentation import ratio
from facemill.stylegan.edit_rows import Generated, read_generated
from facemill.stylegan.pixel_classifier import PixelClassifier
from facemill.stylegan.review_generated import portraits_to_label

SCHEMA = pa.schema([("id", pa.string()), ("mask", IMAGE), ("confidence", pa.float32())])
"""Rows of a shard, those of the shard of generated portraits: `confidence` as in shards of pseudo-labels."""
BATCH = 16
JUDGED = 512
"""Portraits whose masks are compared with the U-Net's, at most."""
SHOWN = 8
"""Portraits in the picture."""


def propagate_labels(
    *,
    model: Path,
    generated: list[Path],
    settings: PropagationConfig,
    labels: LabelsConfig,
    propagated: list[Path],
    metrics: Path,
    picture: Path,
) -> None:
    """Fits a classifier of pixels to 1, 2, 4 and so on labelled portraits, and labels all generated ones by the last.

    The labelled ones are those that `review_generated` chooses, with the masks of the U-Net, or the labelme files of a
    folder. The others' masks are compared with the U-Net's.

    Args:
        model: the generator, a safetensors file.
        generated: shards of generated portraits, with the U-Net's masks.
        settings: the section `propagation`.
        labels: the section `labels`, by which labelme files are read.
        propagated: shards of masks to write, one for each of `generated`.
        metrics: JSON: by number of labelled portraits `miou` and `iou` of each class, both against the U-Net's masks.
        picture: PNG of portraits, the U-Net's masks, and those from few and from all labelled portraits.

    Raises:
        UserError: A labelme file cannot be read, or is of no generated portrait; or no portrait is left to label.
    """
    sampler, classes = Sampler.load(model), mask_classes(generated)
    if settings.labelled:
        labelled = corrected(settings.labelled, labels, classes, generated)
    else:
        labelled = portraits_to_label(generated, classes, settings.portraits)
    others = read_generated(generated, classes, JUDGED, lambda row_id: row_id not in set(labelled.ids))
    counts = sorted({min(2**power, len(labelled)) for power in range(len(labelled).bit_length() + 1)})
    figures, seen = {}, {}
    for count in counts:
        few = labelled.take(range(count))
        classifier = PixelClassifier.fit(sampler, few.styles, few.masks, len(classes), settings.pixels)
        seen[count] = masks_of(classifier, sampler, others.styles)[0]
        ious = ratio(overlaps(seen[count], others.masks, len(classes)).sum(0))
        of_class = {
            name: None if np.isnan(value) else float(value) for name, value in zip(classes.names, ious, strict=True)
        }
        figures[str(count)] = {"miou": float(np.nanmean(ious)), "iou": of_class}
        log.info("propagate_labels: from %d portraits mIoU %.3f against the U-Net", count, np.nanmean(ious))
    for source, target in zip(generated, propagated, strict=True):
        write_shard(target, propagated_rows(classifier, sampler, source, classes), SCHEMA, classes)
    write_json(metrics, {"labelled": labelled.ids, "portraits": len(others), "by_labelled": figures})
    save_picture(propagation_grid(others, seen, classes), picture)


def corrected(folder: Path, labels: LabelsConfig, classes: ClassTable, generated: Sequence[Path]) -> Generated:
    """The generated portraits whose labelme files are in a folder, with the masks of these files.

    Raises:
        UserError: A file is no label, or of no generated portrait, of another size, or of one that has a label.
    """
    known = {row["id"] for row in read_rows(generated, ["id"])}
    masks: dict[str, np.ndarray] = {}
    for source in labelme_files(folder, labels, classes):
        row_id = id_of_file(source.path.stem)
        if row_id not in known or row_id in masks:
            fault = "has another label" if row_id in masks else "is no generated portrait"
            raise UserError(f"{source.path}: {row_id} {fault}; accepted: those of stylegan_review, once each")
        try:
            masks[row_id] = source.read().mask
        except InvalidLabel as error:
            raise UserError(f"{source.path}: {'; '.join(map(str, error.args))}") from error
    portraits = read_generated(generated, classes, len(masks), masks.__contains__, rejected=True)
    drawn = [masks[row_id] for row_id in portraits.ids]
    for row_id, mask in zip(portraits.ids, drawn, strict=True):
        if mask.shape != portraits.masks.shape[1:]:
            height, width = portraits.masks.shape[1:]
            raise UserError(
                f"{folder}: {row_id} of {mask.shape[0]} x {mask.shape[1]} pixels; accepted: {height} x {width}"
            )
    return Generated(portraits.ids, portraits.styles, portraits.images, np.stack(drawn))


def masks_of(classifier: PixelClassifier, sampler: Sampler, styles: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Masks, uint8 (N, H, W), and their confidence, float32 (N,): the mean of the most probable class's probability."""
    masks, confidences = [], []
    for batch in styles.split(BATCH):
        probability, mask = classifier.logits(sampler, batch).softmax(1).max(1)
        masks.append(mask.byte().numpy())
        confidences.append(probability.mean((1, 2)).numpy())
    return np.concatenate(masks), np.concatenate(confidences)


def propagated_rows(classifier: PixelClassifier, sampler: Sampler, generated: Path, classes: ClassTable) -> list[dict]:
    """Rows of `SCHEMA` for each portrait of a shard."""
    rows = []
    for batch in batched(read_rows([generated], ["id", "w"]), BATCH):
        seen = masks_of(classifier, sampler, torch.tensor([row["w"] for row in batch]))
        for row, mask, confidence in zip(batch, *seen, strict=True):
            encoded = {"bytes": encode_mask(mask, classes), "path": f"{row['id']}.png"}
            rows.append({"id": row["id"], "mask": encoded, "confidence": float(confidence)})
    return rows


def propagation_grid(portraits: Generated, seen: dict[int, np.ndarray], classes: ClassTable) -> Image.Image:
    """Portraits, the U-Net's masks, and the masks from each number of labelled portraits."""
    rows = [
        [
            portraits.images[i],
            colorize(portraits.masks[i], classes),
            *(colorize(masks[i], classes) for masks in seen.values()),
        ]
        for i in range(min(SHOWN, len(portraits)))
    ]
    return image_grid(rows, ["portrait", "the U-Net", *(f"from {count}" for count in seen)])
