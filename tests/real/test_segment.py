"""The stage `segment` on real anime portraits: masks for a folder of them."""

import os
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facemill.classes import CLASSES
from facemill.networks import save_model
from facemill.segment.unet import Unet

ROOT = Path(__file__).parents[2]
PORTRAITS = Path(os.environ.get("FACEMILL_REAL_DATA", ROOT.parent / "shared" / "data")) / "anime-portraits"

pytestmark = pytest.mark.skipif(not PORTRAITS.is_dir(), reason=f"{PORTRAITS} is not there")


def test_masks_for_a_folder_of_real_portraits(tmp_path):
    torch.manual_seed(0)
    arguments = {"size": 64, "decoder": "upsample", "decoder_channels": [8] * 5}
    model = tmp_path / "model" / "model.safetensors"
    save_model(model, Unet(**arguments), arguments, {})
    images = tmp_path / "images"
    images.mkdir()
    real = sorted(path for path in (PORTRAITS / "images").rglob("*") if path.suffix in (".jpg", ".png"))[:5]
    for path in real:
        shutil.copy(path, images)
    with Image.open(real[0]) as picture:
        picture.convert("RGB").crop((0, 0, picture.width, picture.height // 3)).save(images / "wide.webp")

    runpy.run_path(str(ROOT / "scripts" / "predict_masks.py"))["main"](
        model=model.parent, images=images, out=tmp_path / "masks"
    )
    for path in images.iterdir():
        with Image.open(path) as picture, Image.open(tmp_path / "masks" / f"{path.stem}.png") as mask:
            assert mask.size == picture.size
            assert mask.mode == "P"
            assert np.asarray(mask).max() < len(CLASSES)
    assert len(list((tmp_path / "masks").iterdir())) == 6
