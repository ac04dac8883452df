"""CelebAMask-HQ's files of single parts: merged in the order of its own script, refused as masks."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.label_files import SETTINGS
from PIL import Image

from facemill.config.ingest import IndexMasksConfig
from facemill.data.classes import SEVEN
from facemill.errors import UserError
from facemill.label.label_files import index_mask_files
from facemill.label.merge_celebamask_parts import PARTS, merge_celebamask_parts

SKIN, NOSE, HAIR = (PARTS.index(name) for name in ("skin", "nose", "hair"))


def write_part(folder: Path, name: str, rows: slice, mode: str = "L", size: int = 16) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    part = np.zeros((size, size), np.uint8)
    part[rows] = 255
    Image.fromarray(part).convert(mode).save(folder / f"{name}.png")


@pytest.fixture
def parts(tmp_path) -> Path:
    folder = tmp_path / "anno"
    write_part(folder / "0", "00000_hair", slice(0, 6))
    write_part(folder / "0", "00000_skin", slice(4, 12), "RGB")
    write_part(folder / "0", "00000_nose", slice(8, 9), "1")
    write_part(folder / "14", "29999_skin", slice(0, 16))
    return folder


def test_parts_become_masks_of_the_images_names(parts, tmp_path):
    merge_celebamask_parts(parts=parts, out=tmp_path / "masks", threads=2)
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["0.png", "29999.png"]
    column = np.asarray(Image.open(tmp_path / "masks/0.png"))[:, 0]
    assert column.tolist() == [HAIR] * 6 + [SKIN] * 2 + [NOSE] + [SKIN] * 3 + [0] * 4


def test_the_indices_are_those_of_the_config():
    config = yaml.safe_load((Path(__file__).parents[3] / "config/celeba.yaml").read_text())
    assert config["labels"]["index_names"] == list(PARTS)


def test_parts_given_as_masks_are_named_in_one_line(parts, tmp_path):
    source = IndexMasksConfig(images=tmp_path, masks=parts)
    with pytest.raises(UserError, match=r"4 of 4 masks are single parts .* 0/00000_hair.png; .*merge_celebamask_parts"):
        index_mask_files(source, SETTINGS, SEVEN)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda folder: write_part(folder, "00000_hair", slice(2)), "0: the part hair is there twice"),
        (lambda folder: write_part(folder, "29999_hair", slice(2), size=8), "29999: parts of several sizes"),
        (lambda folder: (folder / "29999_hat.png").write_text("no image"), "29999: 29999_hat.png cannot be read"),
    ],
)
def test_what_cannot_be_merged_is_named_and_the_others_are_written(parts, tmp_path, write, message):
    write(parts)
    with pytest.raises(UserError, match=f"1 of 2 portraits have no mask:\n  {message}"):
        merge_celebamask_parts(parts=parts, out=tmp_path / "masks")
    assert len(list((tmp_path / "masks").glob("*.png"))) == 1


def test_other_files_are_refused(parts, tmp_path):
    write_part(parts, "00000_wing", slice(2))
    with pytest.raises(UserError, match="1 files are no parts: 00000_wing.png; accepted: NUMBER_PART.png with skin"):
        merge_celebamask_parts(parts=parts, out=tmp_path / "masks")
    (parts / "00000_wing.png").unlink()
    with pytest.raises(UserError):
        merge_celebamask_parts(parts=parts, out=parts)
