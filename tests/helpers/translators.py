"""Small translators, and pictures for them."""

import numpy as np
import torch
from PIL import Image

from facemill.inference.translator import Translator
from facemill.networks.resnet_generator import ResnetGenerator
from facemill.networks.store import save_model

SIZE = 32
ARGUMENTS = {"width": 4, "blocks": 1}


def save_translators(folder):
    """A folder of both directions, with weights that differ."""
    for number, direction in enumerate(("a2b", "b2a")):
        torch.manual_seed(number)
        save_translator(folder, direction, crop="top", detector=None)
    return folder


def save_translator(folder, direction="a2b", **settings):
    """The folder of one direction, whose JSON has settings."""
    path = folder / f"{direction}.safetensors"
    save_model(path, ResnetGenerator(**ARGUMENTS), ARGUMENTS, {"size": SIZE} | settings)
    return folder


def translator(folder, direction="a2b"):
    return Translator.load(folder / f"{direction}.safetensors")


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def read(path):
    return np.asarray(Image.open(path))
