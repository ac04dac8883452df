"""The other collection, where it is a folder or an archive: its images as portraits, a shard a time."""

from pathlib import Path

import polars as pl
import pyarrow as pa
from PIL import Image

from facemill.config.ingest import PortraitsConfig
from facemill.data.batching import batched
from facemill.data.image_files import read_rgb
from facemill.data.shards import IMAGE, decode_image, encode_mask, shard_of, sort_key, write_shard
from facemill.errors import UserError, list_faults
from facemill.inference.segmenter import Segmenter, letterbox, unletterbox
from facemill.ingest.archives import read_image
from facemill.ingest.crop_place import portrait_finder
from facemill.ingest.images import list_images, without_repeats
from facemill.ingest.portraits import SCHEMA, crop_portrait
from facemill.log import log, progress

BATCH = 32


def crop_other(*, images: Path, settings: PortraitsConfig, shard: int, unet: Path | None = None, other: Path) -> None:
    """Reads, checks, crops and resizes the images of a shard, as `crop_portraits` does those of this collection.

    Args:
        images: folder, zip or tar archive.
        settings: section `portraits` of the config: size, shape, detector and place of the portraits.
        shard: number of the shard.
        unet: a U-Net that knows the other collection and draws masks; without one there are none.
        other: shard to write.
    """
    find = portrait_finder(settings.crop, settings.ratio, settings.detector)
    faults: list[tuple[str, str]] = []
    rows: list[dict] = []
    files = images_of_shard(images, shard, settings.shards, faults)
    for row_id, path, offset, length in progress(files, f"portraits {shard}", len(files)):
        try:
            content = read_image(path, offset, length)
            box, centering = find(read_rgb(content))
            encoded, suffix = crop_portrait(content, box, settings.width, settings.size, centering)
        except ValueError as error:
            faults.append((row_id, str(error)))
            continue
        image = {"bytes": encoded, "path": f"{row_id}{suffix}"}
        rows.append({"id": row_id, "image": image, "tags": [], "source": path})
    if unet:
        segmenter = Segmenter.load(unet)
        for batch in batched(rows, BATCH):
            squares = [letterbox(Image.fromarray(decode_image(row["image"]["bytes"])), segmenter.size) for row in batch]
            logits = segmenter.logits([square for square, _ in squares]).cpu().numpy()
            for row, scores, (_, place) in zip(batch, logits, squares, strict=True):
                mask = encode_mask(unletterbox(scores, place), segmenter.classes)
                row["mask"] = {"bytes": mask, "path": f"{row['id']}.png"}
        write_shard(other, rows, SCHEMA.append(pa.field("mask", IMAGE)), segmenter.classes)
    else:
        write_shard(other, rows, SCHEMA)
    log.info("\n  ".join([f"shard {shard}: {len(rows)} portraits, {len(faults)} rejected", *list_faults(faults)]))


def images_of_shard(
    images: Path, shard: int, shards: int, faults: list[tuple[str, str]]
) -> list[tuple[str, str, int | None, int | None]]:
    """The images of a shard: id, path, and of members of tar archives offset and length in bytes.

    Args:
        images: folder or archive.
        shard: number of the shard.
        shards: number of all.
        faults: to which path and reason of files that cannot be used are added.

    Raises:
        UserError: It is neither folder nor archive, or has no image.
    """

    def reject(path: str, reason: str) -> None:
        faults.append((path, reason))

    try:
        table = list_images([images], reject)
    except UserError as error:
        raise UserError(str(error).replace("source.images", "cyclegan.other", 1)) from error
    unique = pl.col("id").is_unique()
    table = without_repeats(table.with_columns(id=pl.when(unique).then("id").otherwise("name")), reject)
    rows = table.select("id", "path", "offset", "length").rows()
    return sorted((row for row in rows if shard_of(row[0], shards) == shard), key=lambda row: sort_key(row[0]))
