"""The other collection as shards: another run's, a folder's, the sample's other hand; and translated shards."""

import io
import zipfile

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from helpers.translate import write_portraits
from PIL import Image

from facemill.config.ingest import PortraitsConfig
from facemill.config.label import LabelsConfig
from facemill.data.classes import SEVEN
from facemill.data.shards import IMAGE, decode_image, decode_mask, encode_mask, mask_classes, read_rows, write_shard
from facemill.errors import UserError
from facemill.inference.translator import Translator
from facemill.ingest.draw_other_hand import draw_other_hand
from facemill.ingest.drawing import draw
from facemill.ingest.portraits import SCHEMA
from facemill.networks.resnet_generator import ResnetGenerator
from facemill.networks.store import save_model
from facemill.networks.unet import Unet
from facemill.translate.crop_other import crop_other
from facemill.translate.take_other import take_other
from facemill.translate.translate_portraits import translate_portraits

LABELS = LabelsConfig.model_validate(
    {
        "merge": {
            "background": ["background"],
            "skin": ["body", "ear"],
            "face": ["face", "nose", "eyebrow"],
            "eye": ["eyelash", "eyeball", "pupil"],
            "mouth": ["mouth"],
            "hair": ["hair"],
            "clothes": ["clothes"],
        },
        "validation": 0,
        "test": 0,
    }
)


def portraits_config(**changes) -> PortraitsConfig:
    return PortraitsConfig.model_validate({"size": 64, "shards": 2} | changes)


def write_masks(path, ids, classes=SEVEN):
    rows = [{"id": i, "mask": {"bytes": encode_mask(np.full((8, 8), int(i) % 7, np.uint8), classes)}} for i in ids]
    write_shard(path, rows, pa.schema([("id", pa.string()), ("mask", IMAGE)]), classes)
    return path


def test_portraits_of_another_run_come_with_their_masks_over_several_row_groups(tmp_path):
    portraits = write_portraits(tmp_path / "a.parquet", 20, portraits=300, height=8, width=8)
    masks = write_masks(tmp_path / "m.parquet", map(str, range(300)))
    take_other(portraits=portraits, pseudo_labels=masks, other=tmp_path / "other.parquet")
    rows = list(read_rows([tmp_path / "other.parquet"]))
    given = list(read_rows([portraits]))
    assert [row["id"] for row in rows] == [row["id"] for row in given] and rows[299]["image"] == given[299]["image"]
    assert all((decode_mask(row["mask"]["bytes"]) == int(row["id"]) % 7).all() for row in rows[::37])
    assert mask_classes([tmp_path / "other.parquet"]) == SEVEN
    take_other(portraits=portraits, other=tmp_path / "plain.parquet")
    assert list(read_rows([tmp_path / "plain.parquet"])) == given


def test_masks_of_other_portraits_are_refused(tmp_path):
    portraits = write_portraits(tmp_path / "a.parquet", 20, portraits=5, height=8, width=8)
    masks = write_masks(tmp_path / "m.parquet", map(str, range(1, 6)))
    with pytest.raises(UserError, match=r"m\.parquet: found masks of other portraits than those of"):
        take_other(portraits=portraits, pseudo_labels=masks, other=tmp_path / "other.parquet")


def test_a_folder_and_its_archive_become_the_same_portraits_dealt_out_to_shards(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for number in range(7):
            content = io.BytesIO()
            Image.new("RGB", (80, 100), (30 * number, 0, 0)).save(content, "PNG")
            (folder / f"{number}.png").write_bytes(content.getvalue())
            archive.writestr(f"{number}.png", content.getvalue())
    (folder / "8.png").write_bytes(b"no image")
    ids = []
    for shard in range(2):
        made = [tmp_path / f"{name}-{shard}.parquet" for name in ("folder", "zip")]
        for images, path in zip((folder, tmp_path / "images.zip"), made, strict=True):
            crop_other(images=images, settings=portraits_config(), shard=shard, other=path)
        rows = list(read_rows([made[0]], ["id", "image"]))
        assert rows == list(read_rows([made[1]], ["id", "image"]))
        assert all(decode_image(row["image"]["bytes"]).shape == (64, 64, 3) for row in rows)
        ids.append([row["id"] for row in rows])
    assert ids == [["0", "2", "4", "6"], ["1", "3", "5"]]
    assert pq.read_schema(tmp_path / "folder-0.parquet").names == SCHEMA.names


def test_a_unet_draws_the_masks_of_a_folder(tmp_path):
    torch.manual_seed(0)
    arguments = {"classes": len(SEVEN), "size": 32, "decoder": "upsample", "decoder_channels": [8, 8, 8, 8, 8]}
    save_model(tmp_path / "unet.safetensors", Unet(**arguments), arguments, {}, SEVEN)
    (tmp_path / "images").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "images/0.png")
    made = tmp_path / "other.parquet"
    crop_other(
        images=tmp_path / "images",
        settings=portraits_config(shards=1),
        shard=0,
        unet=tmp_path / "unet.safetensors",
        other=made,
    )
    (row,) = read_rows([made])
    assert decode_mask(row["mask"]["bytes"]).shape == (64, 64) and mask_classes([made]) == SEVEN


def test_neither_folder_nor_archive_is_said_by_the_key_of_the_config(tmp_path):
    with pytest.raises(UserError, match="cyclegan.other"):
        crop_other(images=tmp_path / "none", settings=portraits_config(), shard=0, other=tmp_path / "o.parquet")


def drawn_by_the_other_hand(tmp_path, **changes):
    rows = [
        {"id": str(i), "image": {"bytes": b""}, "tags": ["1girl"], "source": f"{i}.png"}
        for i in (123456, 234567, 345678)
    ]
    write_shard(tmp_path / "a.parquet", rows, SCHEMA)
    draw_other_hand(
        portraits=tmp_path / "a.parquet",
        settings=portraits_config(**changes),
        seed=1,
        classes=SEVEN,
        labels=LABELS,
        other=tmp_path / "b.parquet",
    )
    return list(read_rows([tmp_path / "b.parquet"]))


def test_the_other_hand_draws_the_same_persons_paler_with_larger_eyes_and_exact_masks(tmp_path):
    rows = drawn_by_the_other_hand(tmp_path)
    eye = SEVEN.role_ids("eye")[0]
    for row in rows:
        assert row["tags"] == ["1girl"] and row["source"] == f"{row['id']}.png"
        first = draw(int(row["id"]), 1)
        image, mask = decode_image(row["image"]["bytes"]), decode_mask(row["mask"]["bytes"])
        original = np.asarray(Image.open(io.BytesIO(first.image(64))).convert("RGB"))
        assert image.shape == (64, 64, 3) and mask.shape == (64, 64)
        parts = cv2.resize(first.part_ids(128), (64, 64), interpolation=cv2.INTER_NEAREST)
        background = (parts == 0) & (mask == 0)
        paler = original[background] * 0.65 + 255 * 0.35
        assert np.abs(image[background].mean(0) - paler.mean(0)).max() < 6
        eyes = np.isin(parts, [8, 12, 13])  # lashes, eyeballs, pupils
        assert (mask == eye).sum() > 1.5 * eyes.sum() > 0
        assert image.min() > 60  # no black line is left
    assert mask_classes([tmp_path / "b.parquet"]) == SEVEN


def test_the_other_hand_draws_portraits_twice_as_high_as_wide(tmp_path):
    row = drawn_by_the_other_hand(tmp_path, ratio=2)[0]
    assert decode_image(row["image"]["bytes"]).shape == (64, 32, 3)
    mask = decode_mask(row["mask"]["bytes"])
    square = decode_mask(drawn_by_the_other_hand(tmp_path)[0]["mask"]["bytes"])
    assert mask.shape == (64, 32) and (mask == square[:, 16:48]).mean() > 0.97


def test_a_shard_is_translated_at_the_size_of_the_model(tmp_path):
    torch.manual_seed(0)
    save_model(
        tmp_path / "a2b.safetensors", ResnetGenerator(width=4, blocks=1), {"width": 4, "blocks": 1}, {"size": 32}
    )
    portraits = write_portraits(tmp_path / "a.parquet", 20, portraits=70, height=64, width=64)
    translate_portraits(model=tmp_path / "a2b.safetensors", portraits=portraits, translated=tmp_path / "t.parquet")
    rows, given = list(read_rows([tmp_path / "t.parquet"])), list(read_rows([portraits]))
    assert [(row["id"], row["tags"]) for row in rows] == [(row["id"], row["tags"]) for row in given]
    small = cv2.resize(decode_image(given[69]["image"]["bytes"]), (32, 32), interpolation=cv2.INTER_AREA)
    expected = Translator.load(tmp_path / "a2b.safetensors").translate(small[None])[0]
    assert np.abs(decode_image(rows[69]["image"]["bytes"]).astype(int) - expected).mean() < 6
