"""Pictures of painted masks: the best and the worst in their order, each mask once a side."""

import numpy as np
import pytest
import torch
from helpers.studio_models import PORTRAITS, Z_DIM, make_generator, make_unet, write_collection

from facemill.data.classes import SEVEN
from facemill.data.dataset import ShardDataset
from facemill.imaging.figures import CAPTION
from facemill.inference.painter import Painter
from facemill.inference.segmenter import Segmenter
from facemill.synthesize.gaugan_pictures import GRID_SIDE, best_and_worst

CELL, GAP, TOP = 128, 6, CAPTION + 14


@pytest.fixture
def rows(tmp_path):
    write_collection(tmp_path)
    shards = [sorted((tmp_path / name).glob("*.parquet")) for name in ("portraits", "pseudo_labels")]
    return ShardDataset(*shards)


def cell(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    """A cell at half of its size, as the portraits are."""
    top, left = TOP + row * (CELL + GAP), GAP + column * (CELL + GAP)
    return sheet[top : top + CELL : 2, left : left + CELL : 2]


def test_the_best_and_the_worst_by_miou(rows):
    painter, segmenter = Painter(make_generator().eval(), SEVEN), Segmenter(make_unet()[0], SEVEN)
    mious = np.linspace(0.9, 0.1, 2 * PORTRAITS).reshape(PORTRAITS, 2)  # the first mask is the best
    mious[5] = np.nan
    references = np.stack([np.roll(np.arange(PORTRAITS), 1), np.roll(np.arange(PORTRAITS), 2)], 1)
    codes = torch.randn(PORTRAITS, 2, Z_DIM)
    sheet = np.asarray(best_and_worst(painter, segmenter, rows, codes, references, mious))
    best, worst = [i for i in range(PORTRAITS) if i != 5][:GRID_SIDE], range(PORTRAITS - 1, -1, -1)
    for row in range(GRID_SIDE):
        for side, mask, style in ((0, best[row], 0), (5, worst[row], 1)):
            portrait, reference = (rows[i][0].permute(1, 2, 0).numpy() for i in (mask, references[mask, style]))
            painted = painter.generate(rows[mask][1][None], codes[mask, style][None])[0]
            for column, expected in ((0, portrait), (2, reference), (3, painted)):
                np.testing.assert_array_equal(cell(sheet, row, side + column), expected)
