"""Writes the latents of a shard of portraits."""

from pathlib import Path

from facemill.command import progress, run
from facemill.latent.latents import LATENT_SCHEMA, encode
from facemill.networks import load_model
from facemill.shards import count_rows, decode_image, read_rows, write_shard
from facemill.synthesize.vae import Vae


def main(*, vae: Path, portraits: Path, out: Path) -> None:
    """Writes where the VAE's encoder puts each portrait of a shard: its mean, same rows in the same order."""
    network = load_model(Vae, vae)
    ids = [row["id"] for row in read_rows([portraits], ["id"])]
    images = (decode_image(row["image"]["bytes"]) for row in read_rows([portraits], ["image"]))
    latents = progress(encode(network, images), "encode_latents", count_rows([portraits]))
    rows = [{"id": id, "latent": latent} for id, latent in zip(ids, latents, strict=True)]
    write_shard(out, rows, LATENT_SCHEMA)


if __name__ == "__main__":
    run(main, gpu=True)
