"""Which part an image belongs to: a stable function of its id, so that adding images moves none."""

import hashlib
from typing import Literal

Part = Literal["train", "validation", "test"]


def fraction(id: str, salt: str) -> float:
    """A number in [0, 1), uniform over ids and independent between salts (SHA-256 of both)."""
    return int.from_bytes(hashlib.sha256(f"{salt}:{id}".encode()).digest()[:8], "big") / 2**64


def part(id: str, salt: str, validation: float, test: float) -> Part:
    """The part of an image: `test` and `validation` are the shares that are kept from training."""
    place = fraction(id, salt)
    return "test" if place < test else "validation" if place < test + validation else "train"


def held_out(id: str, holdout: float) -> bool:
    """Whether a portrait is kept from the training of VAE and GauGAN, and only measured on."""
    return fraction(id, "holdout") < holdout
