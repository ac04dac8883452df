"""Trainings of U-Net, VAE and GauGAN as they are usually written first, with the weights of ours.

Float32 and NCHW, PyTorch's layers one by one, portraits decoded by Pillow, AdamW and Adam and the EMA as loops over
parameters, the discriminators called on real and generated images one by one.
"""

import copy
import io
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import torch
from cyclegan import plain_copy
from gaugan import PlainDiscriminator, PlainGenerator
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from facemill.data.classes import IGNORE, ClassTable
from facemill.data.shards import read_rows
from facemill.imaging.colors import region_ids
from facemill.networks.patch_discriminator import Discriminator
from facemill.networks.spade import Generator
from facemill.networks.unet import LAST_OF_STRIDE, Unet
from facemill.networks.vae import EnlargingBlock, Vae, kl_divergence
from facemill.synthesize.train_vae import BALANCE, MIN_AREA

DECAY = 0.998


class PlainPortraits(Dataset):
    """Portraits in [0, 1], (3, H, W), and their masks, int64 (H, W)."""

    def __init__(self, shard: Path) -> None:
        self.rows = [(row["image"]["bytes"], row["mask"]["bytes"]) for row in read_rows([shard], ["image", "mask"])]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, mask = (np.array(Image.open(io.BytesIO(encoded))) for encoded in self.rows[index])
        return torch.from_numpy(image).permute(2, 0, 1).float() / 255, torch.from_numpy(mask).long()


class PlainTraining(ABC):
    """A training of one batch after the other.

    Args:
        network: the network whose average is kept.
        shard: portraits and masks.
        batch: portraits of a step.
    """

    def __init__(self, network: nn.Module, shard: Path, batch: int) -> None:
        self.network, self.ema = network, copy.deepcopy(network)
        self.loader = DataLoader(PlainPortraits(shard), batch, shuffle=True, drop_last=True)
        self.batches = iter(self.loader)

    def step(self) -> None:
        """Loads a batch, moves the weights, then their average."""
        batch = next(self.batches, None)
        if batch is None:
            self.batches = iter(self.loader)
            batch = next(self.batches)
        self.train_on(*batch)
        with torch.no_grad():
            for average, value in zip(self.ema.parameters(), self.network.parameters(), strict=True):
                average.mul_(DECAY).add_(value, alpha=1 - DECAY)
            for average, value in zip(self.ema.buffers(), self.network.buffers(), strict=True):
                average.copy_(value)

    @abstractmethod
    def train_on(self, images: Tensor, masks: Tensor) -> None:
        """A step of the optimizers."""


class PlainUnet(nn.Module):
    """The U-Net that enlarges and convolves: images in [0, 1] to logits."""

    def __init__(self, unet: Unet) -> None:
        super().__init__()
        self.unet = plain_copy(unet)

    def forward(self, images: Tensor) -> Tensor:
        unet = self.unet
        x = (images - unet.mean) / unet.std
        skips = [x]
        for index, layer in enumerate(unet.encoder.features):
            x = layer(x)
            if index in LAST_OF_STRIDE[:-1]:
                skips.append(x)
        for block, skip in zip(unet.blocks, skips[::-1], strict=True):
            x = block.convolve(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], 1))
        return unet.head(x)


class PlainUnetTraining(PlainTraining):
    """Cross-entropy and soft Dice of a U-Net's logits; AdamW."""

    def __init__(self, unet: Unet, shard: Path, batch: int) -> None:
        super().__init__(PlainUnet(unet), shard, batch)
        self.adam = torch.optim.AdamW(self.network.parameters(), 4e-3, weight_decay=1e-2)

    def train_on(self, images: Tensor, masks: Tensor) -> None:
        loss = self.loss(images, masks)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()

    def loss(self, images: Tensor, masks: Tensor) -> Tensor:
        logits = self.network(images)
        labelled = masks != IGNORE
        truth = F.one_hot(torch.where(labelled, masks, 0), logits.shape[1]).permute(0, 3, 1, 2) * labelled[:, None]
        probs = logits.softmax(1) * labelled[:, None]
        pixels = truth.sum((0, 2, 3))
        dice = 2 * (probs * truth).sum((0, 2, 3)) / (probs.sum((0, 2, 3)) + pixels)
        return F.cross_entropy(logits, masks, ignore_index=IGNORE) + 1 - dice[pixels > 0].mean()


class PlainVaeTraining(PlainTraining):
    """L1, weighted by regions, and KL divergence; AdamW."""

    def __init__(self, vae: Vae, shard: Path, batch: int, classes: ClassTable, kl_weight: float) -> None:
        vae = plain_copy(vae)
        vae.up = nn.Sequential(*(nn.Sequential(*m) if isinstance(m, EnlargingBlock) else m for m in vae.up))
        super().__init__(vae, shard, batch)
        self.adam = torch.optim.AdamW(self.network.parameters(), 2e-3)
        self.size, self.kl_weight = vae.size, kl_weight
        self.regions = [ids for ids in region_ids(classes).values() if ids]

    def train_on(self, images: Tensor, masks: Tensor) -> None:
        if torch.rand(()) < 0.5:
            images, masks = images.flip(3), masks.flip(2)
        reconstruction, divergence = self.losses(images, masks)
        self.adam.zero_grad()
        (reconstruction + self.kl_weight * divergence).backward()
        self.adam.step()

    def losses(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        real = F.interpolate(images * 2 - 1, (self.size, self.size), mode="area")
        inside = torch.stack([torch.isin(masks, torch.tensor(ids)) for ids in self.regions], 1).float()
        shares = F.interpolate(inside, (self.size, self.size), mode="area")
        balanced = (shares / shares.sum((2, 3), keepdim=True).clamp(min=MIN_AREA)).sum(1, keepdim=True)
        weights = BALANCE * balanced / balanced.mean((2, 3), keepdim=True) + 1 - BALANCE
        reconstructed, mean, log_variance = self.network(real)
        return (weights * (reconstructed - real).abs()).mean(), kl_divergence(mean, log_variance)


class PlainGanTraining(PlainTraining):
    """A step of the generator, then one of the discriminators on the same generated images; Adam."""

    def __init__(
        self, generator: Generator, discriminator: Discriminator, encoder: Vae, shard: Path, batch: int
    ) -> None:
        super().__init__(PlainGenerator(plain_copy(generator)), shard, batch)
        self.discriminator, self.encoder = PlainDiscriminator(plain_copy(discriminator)), plain_copy(encoder)
        self.adams = [
            torch.optim.Adam(network.parameters(), lr, betas=(0.0, 0.9))
            for network, lr in ((self.network, 2e-4), (self.discriminator, 8e-4))
        ]

    def train_on(self, images: Tensor, masks: Tensor) -> None:
        if torch.rand(()) < 0.5:
            images, masks = images.flip(3), masks.flip(2)
        real = images * 2 - 1
        with torch.no_grad():
            mean, log_variance = self.encoder.encode(real)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        mask = F.one_hot(masks, self.network.generator.classes).permute(0, 3, 1, 2).float()
        fake = self.network(masks, z)
        self.adams[0].zero_grad()
        self.generator_loss(fake, real, mask).backward()
        self.adams[0].step()
        self.adams[1].zero_grad()
        self.discriminator_loss(fake.detach(), real, mask).backward()
        self.adams[1].step()

    def generator_loss(self, fake: Tensor, real: Tensor, mask: Tensor) -> Tensor:
        self.discriminator.requires_grad_(False)
        features = self.discriminator(fake, mask)
        with torch.no_grad():
            targets = self.discriminator(real, mask)
        self.discriminator.requires_grad_(True)
        hinge = -sum(scale[-1].mean() for scale in features)
        pairs = zip(features, targets, strict=True)
        matching = sum(F.l1_loss(f, t) for a, b in pairs for f, t in zip(a[:-1], b[:-1], strict=True))
        return (hinge + 10 * matching) / len(features)

    def discriminator_loss(self, fake: Tensor, real: Tensor, mask: Tensor) -> Tensor:
        fakes, reals = self.discriminator(fake, mask), self.discriminator(real, mask)
        hinge = sum(F.relu(1 + a[-1]).mean() + F.relu(1 - b[-1]).mean() for a, b in zip(fakes, reals, strict=True))
        return hinge / 2 / len(fakes)
