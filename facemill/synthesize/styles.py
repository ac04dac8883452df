"""The style codes of GauGAN's training, and their distribution, of which random styles are drawn."""

import torch
from torch import Tensor

from facemill.data.batching import batched
from facemill.data.dataset import ShardDataset, sample_rows
from facemill.inference.painter import Painter
from facemill.networks.device import autocast, device
from facemill.networks.region_styles import encode_regions
from facemill.networks.vae import Vae, reparameterize, to_signed_range

MAX_STYLES = 20_000
"""Most portraits from which the distribution of styles is estimated: some minutes of decoding."""
ENCODER_BATCH = 32
NEVER_SINGULAR = 1e-6
"""Variance that codes by region have in any direction: a thousandth of what can be seen, as deviation."""


def training_styles(painter: Painter, real: Tensor, masks: Tensor) -> Tensor:
    """The style codes (B, z_dim) with which real images (B, 3, H, W) in [-1, 1] are painted from masks (B, H, W).

    The setting `z` says where they come from: the colors of the images' regions (`region_styles.py`), the frozen
    encoder's q(z|x) of the images (Park et al. 2019, section 3), N(0, 1), which is tied to no style, or nowhere (their
    main model, which has no z).
    """
    if painter.generator.z == "regions":
        return painter.region_styles(real, masks)
    if painter.generator.z == "encoder" and painter.encoder:
        return reparameterize(*painter.encoder.encode(real))
    return painter.random_styles(len(real))


@torch.inference_mode()
def region_distribution(rows: ShardDataset, classes: int) -> tuple[Tensor, Tensor]:
    """Mean (Z,) and covariance (Z, Z), float64, of codes by region of random portraits.

    A code that a portrait lacks is the mean one, and 0 where no portrait has it.
    """
    batches = batched((rows[i] for i in sample_rows(rows, MAX_STYLES)), ENCODER_BATCH)
    stacked = (map(torch.stack, zip(*batch, strict=True)) for batch in batches)
    codes = torch.cat([encode_regions(to_signed_range(images), masks, classes) for images, masks in stacked]).double()
    mean = codes.nanmean(0).nan_to_num()
    deviations = torch.where(codes.isnan(), 0, codes - mean)
    return mean, deviations.T @ deviations / len(codes) + NEVER_SINGULAR * torch.eye(len(mean), dtype=torch.float64)


@torch.inference_mode()
def style_distribution(encoder: Vae, rows: ShardDataset) -> tuple[Tensor, Tensor]:
    """Mean (Z,) and covariance (Z, Z), float64, of style codes of random portraits, flipped or not: draws from q(z|x).

    By the law of total covariance that is the covariance of the means plus the mean of the (diagonal) covariances,
    which the encoder keeps above zero: the sum is positive definite, however few the portraits.
    """
    means, variances = [], []
    for batch in batched(sample_rows(rows, MAX_STYLES), ENCODER_BATCH):
        images = torch.stack([rows[i][0] for i in batch])
        images[::2] = images[::2].flip(3)  # half of a training's batches are
        with autocast():
            mean, log_variance = encoder.encode(to_signed_range(images.to(device())))
        means.append(mean.double().cpu())
        variances.append(log_variance.double().cpu().exp())
    codes = torch.cat(means)
    deviations = codes - codes.mean(0)
    return codes.mean(0), deviations.T @ deviations / len(codes) + torch.cat(variances).mean(0).diag()
