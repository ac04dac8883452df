"""How near StyleGAN comes to portraits: held-out ones, those of the training, and its own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from facemill.config.stylegan import ProjectionConfig
from facemill.data.dataset import sample_rows
from facemill.data.shards import IMAGE, write_shard
from facemill.data.splits import held_out, trained_on
from facemill.errors import UserError
from facemill.files import write_json
from facemill.imaging.figures import image_grid, save_picture
from facemill.inference.projector import Projector, Space
from facemill.inference.sampler import Sampler
from facemill.inference.segmenter import Segmenter
from facemill.log import log
from facemill.networks.device import autocast, device
from facemill.networks.store import load_model
from facemill.networks.vae import Vae, to_pixels, to_signed_range
from facemill.networks.vgg import Lpips
from facemill.stylegan.conditions import Conditions
from facemill.stylegan.generate_samples import encoded, portrait_id
from facemill.stylegan.portraits import StylePortraits
from facemill.stylegan.seen import differences, nearness, see

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("kind", pa.string()),
        ("space", pa.string()),
        ("image", IMAGE),
        ("w", pa.list_(pa.float32())),
        ("l1", pa.float32()),
    ]
)
"""Rows of the projections.

`kind`: held_out, training or generated. `space`: w, or w+. `image`: the reconstruction. `w`: its styles, w_dim numbers,
in w+ those of one layer after the other. `l1`: mean absolute difference of pixels in [-1, 1].
"""

SHOWN = 8
CELL = 128
BATCH = 32

SPACES: tuple[Space, ...] = get_args(Space)


class Target(NamedTuple):
    """Portraits of a kind, for which styles are searched."""

    ids: list[str]
    images: np.ndarray
    """uint8 RGB (N, H, W, 3)."""


class Projected(NamedTuple):
    """Styles that were found, and what is painted from them."""

    styles: Tensor
    """(N, w_dim), or of each layer (N, layers, w_dim)."""
    images: np.ndarray
    """uint8 RGB (N, H, W, 3)."""


def project_samples(
    *,
    model: Path,
    vae: Path,
    unet: Path | None = None,
    vgg_weights: Path | None = None,
    settings: ProjectionConfig,
    portraits: list[Path],
    holdout: float,
    projections: Path,
    metrics: Path,
    picture: Path,
) -> None:
    """Finds the styles, in W and in W+, of held-out portraits, of the training's and of portraits of seeds.

    Beside the figures of both spaces stand those of the VAE's reconstructions of the same portraits, and those of
    another portrait of the kind in each one's place: what no reconstruction at all would have.

    Args:
        model: the generator, a safetensors file.
        vae: the VAE, a safetensors file.
        unet: a U-Net that sees masks, where there are any.
        vgg_weights: of LPIPS, which is measured where they are given, and not minimized.
        settings: the section `projection`.
        portraits: shards of the collection.
        holdout: share of the portraits that is held out.
        projections: shard of the reconstructions with their styles.
        metrics: JSON of the figures, by space and kind: see `nearness`; of generated portraits also `w_distance`, the
            distance to their styles as a share of that between the styles of two portraits.
        picture: PNG of portraits of each kind and their reconstructions.
    """
    sampler = Sampler.load(model)
    segmenter = Segmenter.load(unet) if unet else None
    lpips = Lpips(vgg_weights).to(device()) if vgg_weights else None
    targets = targets_of(sampler, portraits, holdout, settings.portraits)
    found = {space: search(sampler, targets, space, settings.steps) for space in SPACES}
    seen = {kind: see(target.images, segmenter) for kind, target in targets.items()}

    def measured(kind: str, images: np.ndarray) -> dict[str, Any]:
        target = seen[kind]
        figures = nearness(see(images, segmenter), target, segmenter.classes if segmenter else None)
        return figures | ({"lpips": mean_lpips(lpips, images, target.images)} if lpips else {})

    autoencoder = load_model(Vae, vae)
    figures: dict[str, Any] = {
        "portraits": {kind: len(target.ids) for kind, target in targets.items()},
        "steps": settings.steps,
        "other_portrait": {kind: measured(kind, np.roll(target.images, 1, 0)) for kind, target in targets.items()},
        "vae": {kind: measured(kind, decoded(autoencoder, target.images)) for kind, target in targets.items()},
    }
    for space, projections_of in found.items():
        figures[space] = {kind: measured(kind, projected.images) for kind, projected in projections_of.items()}
        figures[space]["generated"]["w_distance"] = relative_distance(sampler, projections_of["generated"].styles)
    write_shard(projections, projection_rows(targets, found), SCHEMA)
    write_json(metrics, figures)
    save_picture(projection_grid(sampler.generator.height, targets, found), picture)


def targets_of(sampler: Sampler, portraits: list[Path], holdout: float, most: int) -> dict[str, Target]:
    """At most so many portraits of each kind, at the generator's size; the generated ones are those of seeds from 0 on.

    Raises:
        UserError: Fewer than two portraits are held out, or fewer than two are not.
    """
    kinds: dict[str, Callable[[str], bool]] = {
        "held_out": lambda row_id: held_out(row_id, holdout),
        "training": trained_on(portraits, holdout),
    }
    targets = {}
    for kind, keep in kinds.items():
        rows = StylePortraits(portraits, sampler.generator.height, Conditions({}, {}), keep)
        chosen = sample_rows(rows, most)
        if len(chosen) < 2:
            raise UserError(
                f"holdout: found {holdout}, which leaves {len(chosen)} portraits {kind}; accepted: 2 or more"
            )
        images = [rows[index][0].permute(1, 2, 0).numpy() for index in chosen]
        targets[kind] = Target([rows.ids[index] for index in chosen], np.stack(images))
    seeds = range(most)
    generated = sampler.generate(true_styles(sampler, most))
    return targets | {"generated": Target([portrait_id(seed) for seed in seeds], generated)}


def true_styles(sampler: Sampler, count: int) -> Tensor:
    """The styles of the generated portraits, not truncated: float32 (count, w_dim)."""
    return sampler.truncated(range(count), 1)


def search(sampler: Sampler, targets: Mapping[str, Target], space: Space, steps: int) -> dict[str, Projected]:
    """The styles in a space that are found for each kind of portraits."""
    projector = Projector(sampler, space, steps)
    found = {}
    for kind, target in targets.items():
        styles = projector.project(target.images)
        found[kind] = Projected(styles, sampler.generate(styles))
        log.info("project_samples: %s, %s: %d portraits", space, kind, len(styles))
    return found


def decoded(vae: Vae, images: np.ndarray) -> np.ndarray:
    """A VAE's reconstructions of uint8 RGB images (N, H, W, 3), at their size."""
    reconstructions = []
    with torch.inference_mode():
        for batch in torch.from_numpy(images).permute(0, 3, 1, 2).split(BATCH):
            with autocast():
                mean, _ = vae.encode(to_signed_range(batch.to(device())))
                images_of_batch = vae.decode(mean).float()
            reconstructions.append(to_pixels(resized(images_of_batch, images.shape[1:3])))
    return np.concatenate(reconstructions)


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (N, 3, H, W) at another height and width: averaged where they shrink, else between their pixels."""
    if size[0] <= images.shape[2]:
        return F.interpolate(images, size, mode="area")
    return F.interpolate(images, size, mode="bilinear", align_corners=False)


@torch.inference_mode()
def mean_lpips(lpips: Lpips, a: np.ndarray, b: np.ndarray) -> float:
    """The mean LPIPS between uint8 RGB images (N, H, W, 3)."""
    x, y = (to_signed_range(torch.from_numpy(images).permute(0, 3, 1, 2)).to(device()) for images in (a, b))
    return float(torch.cat([lpips(*pair) for pair in zip(x.split(BATCH), y.split(BATCH), strict=True)]).mean())


def relative_distance(sampler: Sampler, styles: Tensor) -> float:
    """The mean distance of styles to those of seeds from 0 on, as a share of that between two of these."""
    true = true_styles(sampler, len(styles))
    each = styles if styles.dim() == 3 else styles[:, None]
    between = torch.pdist(true).mean()
    return float((each - true[:, None]).norm(dim=2).mean() / between)


def projection_rows(targets: Mapping[str, Target], found: Mapping[Space, Mapping[str, Projected]]) -> list[dict]:
    """Rows of `SCHEMA`."""
    rows = []
    for space, kinds in found.items():
        for kind, (styles, images) in kinds.items():
            columns = zip(
                targets[kind].ids,
                images,
                styles.flatten(1).cpu().numpy(),
                differences(images, targets[kind].images),
                strict=True,
            )
            rows += [
                {"id": row_id, "kind": kind, "space": space, "image": encoded(image, row_id), "w": w, "l1": l1}
                for row_id, image, w, l1 in columns
            ]
    return rows


def projection_grid(
    height: int, targets: Mapping[str, Target], found: Mapping[Space, Mapping[str, Projected]]
) -> Image.Image:
    """The first portraits of each kind, and below them their reconstructions from each space."""
    grid, captions = [], []
    for kind, target in targets.items():
        strips = [target.images, *(found[space][kind].images for space in found)]
        grid += [[*strip[:SHOWN]] for strip in strips]
        captions += [kind.replace("_", "-"), *(space.upper() for space in found)]
    return image_grid(grid, captions=captions, cell=max(CELL // height, 1) * height)
