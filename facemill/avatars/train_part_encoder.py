"""Training of the autoencoder of parts."""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from facemill.avatars.cut_regions import decode_crop
from facemill.avatars.extractors import picture_of
from facemill.config.fields import TrainingConfig
from facemill.data.dataset import ShardDataset, train_loader
from facemill.data.shards import open_shard
from facemill.networks.part_autoencoder import SIZE, Kind, PartAutoencoder
from facemill.networks.store import save_model
from facemill.training.learner import Learner
from facemill.training.optimization import make_accelerator
from facemill.training.run import Run


class Crops(ShardDataset):
    """Parts of portraits over white: uint8 (3, SIZE, SIZE)."""

    def _read_group(self, s: int, g: int) -> list[tuple[bytes, bytes | None]]:
        with open_shard(self.images[s]) as shard:
            crops = shard.read_row_group(g, ["crop"]).column("crop").to_pylist()
        return [(crop["bytes"], None) for crop in crops]

    def __getitem__(self, index: int) -> Tensor:
        shard, group, row = self.positions[index].tolist()
        encoded, _ = self._group(shard, group)[row]
        return torch.from_numpy(picture_of(decode_crop(encoded), SIZE)).permute(2, 0, 1)


def train_part_encoder(
    *, regions: list[Path], training: TrainingConfig, seed: int, kind: Kind, model: Path, curves: Path
) -> None:
    """Trains the autoencoder of parts, one for all roles; the same command resumes a killed run.

    The loss is the mean squared error of the reconstruction (pixels in [0, 1]); Adam with a constant learning rate. The
    article that published the network names neither.

    Args:
        regions: shards of parts of portraits.
        training: length, batch size and learning rate.
        seed: seed of weights and order.
        kind: `original`: as published, with a ReLU on the code; `fixed`: without, and with a sigmoid at the end.
        model: the trained autoencoder, a safetensors file.
        curves: CSV of the loss.
    """
    torch.manual_seed(seed)
    accelerator = make_accelerator()
    network = PartAutoencoder(kind=kind).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), training.learning_rate, fused=True)
    learner = Learner(accelerator, network, optimizer, lambda step: training.learning_rate)
    settings_key = {"seed": seed, "kind": kind, "training": training.model_dump(mode="json")}
    run = Run("part_encoder", settings_key, regions, {"autoencoder": learner})
    batches = accelerator.prepare(train_loader(Crops(regions), training.batch, seed, run.step))
    for step, pixels in zip(run.steps(training.images, training.batch, seed), batches, strict=False):
        pictures = (pixels.float() / 255).contiguous(memory_format=torch.channels_last)
        loss = F.mse_loss(learner.net(pictures).float(), pictures)
        learner.step(loss, step)
        run.record(loss=loss)
    if accelerator.is_main_process:
        save_model(model, learner.raw, {"kind": kind}, settings_key)
        run.finish(curves)
