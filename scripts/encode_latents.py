"""Writes the latents of a shard of portraits."""

from pathlib import Path

from facemill.data.shards import decode_image, read_rows, write_shard
from facemill.latent.encode_latents import LATENT_SCHEMA, encode
from facemill.latent.rows import sample_ids
from facemill.log import progress
from facemill.networks.store import load_model
from facemill.networks.vae import Vae
from facemill.workflow.command import run


def main(*, vae: Path, portraits: Path, limit: int, seed: int, out: Path) -> None:
    """Writes where the VAE's encoder puts portraits of a shard, at most `limit` of them drawn with the seed: mean and
    spread, rows in the shard's order."""
    network = load_model(Vae, vae)
    chosen = set(sample_ids([row["id"] for row in read_rows([portraits], ["id"])], limit, f"latents-{seed}"))
    ids = [row["id"] for row in read_rows([portraits], ["id"]) if row["id"] in chosen]
    images = (decode_image(row["image"]["bytes"]) for row in read_rows([portraits]) if row["id"] in chosen)
    encoded = progress(encode(network, images), "encode_latents", len(ids))
    rows = [{"id": id, "latent": mean, "std": spread} for id, (mean, spread) in zip(ids, encoded, strict=True)]
    write_shard(out, rows, LATENT_SCHEMA)


if __name__ == "__main__":
    run(main, gpu=True)
