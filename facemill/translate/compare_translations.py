"""Ways to translate side by side: the same portraits by CycleGAN, by CUT, and through masks, in one picture."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch

from facemill.data.batching import evenly_spaced
from facemill.data.shards import decode_image, read_rows
from facemill.data.splits import held_out
from facemill.errors import UserError
from facemill.imaging.figures import image_grid, save_picture
from facemill.networks.store import model_settings
from facemill.translate.shrink import shrunk
from facemill.translate.translate_images import load_translator


def compare_translations(
    *,
    models: list[Path],
    portraits: list[Path],
    out: Path,
    direction: Literal["a2b", "b2a"] | None = None,
    truth: list[Path] | None = None,
    count: int = 10,
) -> None:
    """Draws held-out portraits, evenly spaced and nothing picked, and below them what each model makes of them.

    Args:
        models: as --model of translate_images: folders cyclegan (of method cyclegan or cut) and through_masks of
            results, trained with one `holdout`.
        portraits: shards of the portraits to translate, for a2b results/<dataset>/portraits/shard-*.parquet.
        out: the picture (.png).
        direction: of models that have both; by default a2b.
        truth: shards of the true answers, rows of the same ids; the sample's results/sample/other/shard-*.parquet.
        count: number of portraits.
    """
    if out.suffix.lower() != ".png" or count < 1:
        raise UserError(f"--out {out}, --count {count}; accepted: a .png, and 1 or more portraits")
    loaded = [load_translator(model, direction) for model in models]
    settings = [model_settings(files[0]) for _, files in loaded]
    shares = {model: of.get("holdout") for model, of in zip(models, settings, strict=True)}
    holdout = min((share for share in shares.values() if isinstance(share, float)), default=None)
    if holdout is None or len(set(shares.values())) > 1:
        found = ", ".join(f"{share} in {model}" for model, share in shares.items())
        raise UserError(f"--models: settings.holdout: found {found}; accepted: one share above 0")
    images = _held_out_images(portraits, holdout, count)
    rows, captions = [list(images.values())], ["portrait"]
    for (translator, _), of in zip(loaded, settings, strict=True):
        rows.append(list(translator.translate(_shrunk(np.stack(rows[0]), translator.size, portraits[0]))))
        captions.append(of["method"])
    if truth:
        answers = _images_of(truth, set(images))
        if missing := [row_id for row_id in images if row_id not in answers]:
            raise UserError(f"--truth {truth[0]}: no row of {missing[0]}; accepted: rows of the portraits' ids")
        rows.append([answers[row_id] for row_id in images])
        captions.append("truth")
    save_picture(image_grid(rows, captions=captions), out)


def _held_out_images(portraits: list[Path], holdout: float, count: int) -> dict[str, np.ndarray]:
    """By id some held-out portraits, uint8 RGB (H, W, 3)."""
    ids = [row["id"] for row in read_rows(portraits, ["id"]) if held_out(row["id"], holdout)]
    if not ids:
        raise UserError(f"--portraits {portraits[0]}: none is held out; accepted: shards of the models' collection")
    return _images_of(portraits, {ids[i] for i in evenly_spaced(len(ids), count)})


def _images_of(shards: list[Path], ids: set[str]) -> dict[str, np.ndarray]:
    rows = (row for row in read_rows(shards, ["id", "image"]) if row["id"] in ids)
    return {row["id"]: decode_image(row["image"]["bytes"]) for row in rows}


def _shrunk(images: np.ndarray, height: int, source: Path) -> np.ndarray:
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    return shrunk(pixels, height, source).permute(0, 2, 3, 1).numpy()
