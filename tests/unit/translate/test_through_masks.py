"""Translation through masks: made networks whose answers are known, then real ones from shards to pictures."""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers.color_unet import COLORS, ColorUnet
from helpers.colorist import EIGHT
from helpers.heads import ID, head
from helpers.scenes import THREE, save_varied_unet
from PIL import Image
from torch import nn

from facemill.config.ingest import Cropping
from facemill.data.classes import ROLES, SEVEN
from facemill.data.shards import IMAGE, encode_jpeg, encode_mask, read_rows, write_shard
from facemill.data.splits import held_out, in_choice
from facemill.data.synthetic import hashes, read_mark
from facemill.errors import UserError
from facemill.files import sha256
from facemill.inference.painter import Painter
from facemill.inference.segmenter import Segmenter
from facemill.ingest.portraits import SCHEMA
from facemill.networks.resnet_generator import ResnetGenerator
from facemill.networks.spade import Generator
from facemill.networks.store import save_model
from facemill.networks.vae import Vae
from facemill.translate import classifier
from facemill.translate.evaluate_through_masks import asked_figures, by_cyclegan, evaluate_through_masks, measured_size
from facemill.translate.figures import color_correlations
from facemill.translate.learn_through_masks import learn_through_masks
from facemill.translate.measures import Translated
from facemill.translate.pictures import CELL, COLUMNS
from facemill.translate.proportions import Proportions, with_proportions
from facemill.translate.sides import Side
from facemill.translate.style_bank import StyleBank, lab_of
from facemill.translate.through_masks import FILES, CollectionStatistics, ThroughMasks, classes_of_roles, framed
from facemill.translate.translate_images import translate_images
from facemill.translate.translate_through_masks import translate_through_masks

PHOTOS = [head(shift=s, mouth=(m, 8)) for s, m in ((-4, 16), (0, 20), (4, 24))]
DRAWINGS = [
    head(face=(40, 32, 48, 48), shift=s, eye=(16, e), apart=28, mouth=(m, 4), mouth_y=40, hair=16)
    for s, e, m in ((-2, 12, 6), (0, 14, 8), (2, 16, 10))
]
STYLES = np.array([[40, 30, 30, 250, 220, 200], [200, 80, 40, 250, 220, 200]], np.float32)
"""Colors of hair and of skin, which are a style's code."""


class Drawer(nn.Module):
    """Stands in for GauGAN: hair and skin have the colors of the code, all else those of the classes."""

    height = width = 128
    z, z_dim = "encoder", 6

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, masks, z):
        colors = torch.from_numpy(COLORS).float().repeat(len(z), 1, 1)
        colors[:, ID["hair"]] = z[:, :3]
        colors[:, ID["face"]] = colors[:, ID["skin"]] = z[:, 3:]
        painted = torch.stack([table[mask.long()] for table, mask in zip(colors, masks, strict=True)])
        return painted.permute(0, 3, 1, 2) / 127.5 - 1


def drawer(other=True):
    """A translator between photos in the colors of `COLORS` and drawings in two styles."""
    painter = Painter(Drawer(), SEVEN)
    painted = painter.generate(torch.from_numpy(np.stack(DRAWINGS[:2])), torch.from_numpy(STYLES))
    bank = StyleBank(STYLES, np.stack([lab_of(x, m, SEVEN) for x, m in zip(painted, DRAWINGS, strict=False)]))
    statistics = CollectionStatistics(
        Proportions.of(PHOTOS), np.nanmean([lab_of(COLORS[m], m, SEVEN) for m in PHOTOS], axis=0)
    )
    segmenter = Segmenter(ColorUnet().eval(), SEVEN)
    return ThroughMasks(segmenter, painter, statistics, Proportions.of(DRAWINGS) if other else None, bank)


def test_a_photo_gets_the_others_proportions_and_keeps_its_hair():
    translator = drawer()
    result = translator.translate(COLORS[PHOTOS[1]][None])[0]
    mask = with_proportions(PHOTOS[1], Proportions.of(PHOTOS), Proportions.of(DRAWINGS))
    seen = np.abs(COLORS[[ID["eye"], ID["mouth"]]].astype(int)[:, None, None] - result).sum(-1).argmin(0)
    exact = np.abs(COLORS[[ID["eye"], ID["mouth"]]].astype(int)[seen] - result).max(-1) <= 2
    assert (exact == np.isin(mask, (ID["eye"], ID["mouth"])))[mask == ID["face"]].all()
    found, wanted = (lab_of(x, m, SEVEN) for x, m in ((result, mask), (COLORS[PHOTOS[1]], PHOTOS[1])))
    hair, skin = 0, 1
    assert found[hair] == pytest.approx(wanted[hair], abs=1.5)
    assert found[skin] == pytest.approx(translator.bank.colors[0, skin], abs=2)  # the usual photo's is the usual one


def test_masks_stay_as_they_are_without_another_collections_proportions():
    translator = drawer(other=False)
    assert (translator.proportioned(PHOTOS[0]) == PHOTOS[0]).all()
    assert (drawer().proportioned(PHOTOS[0]) != PHOTOS[0]).any()


def test_the_style_is_that_of_the_nearest_hair(monkeypatch):
    translator, codes = drawer(), []
    paint = translator.painter.generate
    monkeypatch.setattr(translator.painter, "generate", lambda mask, z: codes.append(z) or paint(mask, z))
    tables = np.stack([COLORS, COLORS])
    tables[:, ID["hair"]] = (0, 90, 0), (90, 150, 40)
    dark, light = (table[PHOTOS[0]] for table in tables)
    translator.bank = StyleBank(STYLES, np.stack([lab_of(image, PHOTOS[0], SEVEN) for image in (dark, light)]))
    translator.translate(np.stack([light, dark]))
    assert np.concatenate(codes).tolist() == STYLES[::-1].tolist()


def test_a_portrait_gives_the_same_bytes_alone_and_among_others_and_at_its_own_size():
    translator = drawer()
    images = np.stack([COLORS[mask] for mask in PHOTOS])
    together = translator.translate(images)
    assert (translator.translate(images[1:2])[0] == together[1]).all()
    small = np.ascontiguousarray(images[:, ::2, ::2])
    assert translator.translate(small).shape == small.shape
    assert translator.translate(images[:0]).shape == (0, 128, 128, 3)


@pytest.mark.parametrize(("shape", "seen"), [((128, 64), (64, 32)), ((32, 16), (64, 32)), ((96, 96), (64, 64))])
def test_the_unet_sees_portraits_as_in_training_and_others_letterboxed(shape, seen):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    square, box = framed(image, 64, 2)
    assert square.shape == (*seen, 3)
    assert box == (0, 0, seen[1], 64, *shape[::-1]), "no reflection at the sides"


def test_a_mask_without_a_face_is_painted_too():
    nothing = np.zeros((1, 128, 128, 3), np.uint8)
    assert (drawer().translate(nothing) <= 1).all()


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (SEVEN, dict(zip(ROLES, ROLES, strict=True))),
        (EIGHT, {"skin": "face", "hair": "bangs", "clothes": "background", "eye": "eye"}),
        (THREE, {"eye": "head", "mouth": "head", "skin": "head", "hair": "around"}),
    ],
)
def test_roles_are_painted_as_the_classes_that_there_are(classes, expected):
    ids = classes_of_roles(classes)
    assert {role: classes.names[ids[ID[role]]] for role in expected} == expected


ARGUMENTS = {"size": 64, "z_dim": 4, "ngf": 4, "nhidden": 4, "classes": 7}
ENCODER = {"size": 32, "z_dim": 4, "width": 4}


def portrait(number, masks):
    """A head of 64 x 64 pixels in the classes' colors, some lighter than others, and its mask."""
    mask = masks[number % len(masks)][::2, ::2]
    image = np.clip(COLORS[mask].astype(int) + number % 7 * 5, 0, 255).astype(np.uint8)
    return image, mask


def write_portraits(folder, masks, count, with_masks):
    """A shard of portraits, the masks in it or beside it; returns both paths."""
    rows, of = [], []
    for number in range(count):
        image, mask = portrait(number, masks)
        row = {"id": str(number), "image": {"bytes": encode_jpeg(image), "path": f"{number}.jpg"}, "tags": ["1girl"]}
        rows.append(row | {name: None for name in SCHEMA.names if name not in row})
        of.append({"id": str(number), "mask": {"bytes": encode_mask(mask, SEVEN), "path": None}})
    portraits, pseudo = folder / "portraits/shard-0000.parquet", folder / "pseudo_labels/shard-0000.parquet"
    if with_masks:
        rows = [row | {"mask": one["mask"]} for row, one in zip(rows, of, strict=True)]
        write_shard(portraits, rows, SCHEMA.append(pa.field("mask", IMAGE)), SEVEN)
    else:
        write_shard(portraits, rows, SCHEMA, None)
        write_shard(pseudo, of, pa.schema([("id", pa.string()), ("mask", IMAGE)]), SEVEN)
    return portraits, pseudo


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Two collections, the networks with random weights, and what is learned of both."""
    folder = tmp_path_factory.mktemp("chain")
    portraits, masks = write_portraits(folder / "a", PHOTOS, 80, with_masks=False)
    other, _ = write_portraits(folder / "b", DRAWINGS, 80, with_masks=True)
    torch.manual_seed(0)
    unet = save_varied_unet(folder / "unet/model.safetensors")
    gaugan, encoder = folder / "gaugan/model.safetensors", folder / "gaugan/style_encoder.safetensors"
    save_model(gaugan, Generator(**ARGUMENTS), ARGUMENTS, {}, SEVEN)
    save_model(encoder, Vae(**ENCODER), ENCODER, {})
    bank = folder / "through_masks/a2b/bank.safetensors"
    paths = {"portraits": [portraits], "masks": [masks], "other": [other], "holdout": 0.5}
    networks = {"unet": unet, "gaugan": gaugan, "style_encoder": encoder}
    learn_through_masks(**networks, **paths, cropping=Cropping(crop="top"), bank=bank)
    return {"folder": folder, "bank": bank, "paths": paths, "networks": networks}


def test_what_is_learned_is_a_complete_model_and_the_same_twice(chain, tmp_path):
    assert {path.name for path in chain["bank"].parent.glob("*.safetensors")} == set(FILES)
    settings = json.loads(chain["bank"].with_suffix(".json").read_text())["settings"]
    assert settings == {"method": "masks", "size": 64, "ratio": 1, "holdout": 0.5, "crop": "top", "detector": None}
    translator = ThroughMasks.load(chain["bank"].parent)
    assert translator.size == 64 and len(translator.bank.codes) > 20
    for found, masks in ((translator.source.proportions, PHOTOS), (translator.target, DRAWINGS)):
        assert found.means == pytest.approx(Proportions.of([mask[::2, ::2] for mask in masks]).means, abs=0.1)
    again = tmp_path / "again/bank.safetensors"
    learn_through_masks(**chain["networks"], **chain["paths"], cropping=Cropping(crop="top"), bank=again)
    assert sha256(again) == sha256(chain["bank"])


def test_held_out_portraits_give_no_styles(chain):
    expected = sum(not held_out(str(number), 0.5) for number in range(80))
    assert len(ThroughMasks.load(chain["bank"].parent).bank.codes) == expected


def test_a_shard_is_translated_row_by_row(chain, tmp_path):
    out = tmp_path / "shard-0000.parquet"
    translate_through_masks(bank=chain["bank"], portraits=chain["paths"]["portraits"][0], translated=out)
    rows = list(read_rows([out]))
    assert [row["id"] for row in rows] == [str(number) for number in range(80)]
    assert rows[0]["tags"] == ["1girl"]
    assert len({row["image"]["bytes"] for row in rows}) > 3


def test_folders_are_translated_and_bear_all_three_models(chain, tmp_path):
    image = tmp_path / "photo.png"
    Image.fromarray(portrait(0, PHOTOS)[0]).save(image)
    for number, model in enumerate((chain["bank"].parent, chain["bank"].parents[1])):
        translate_images(model=model, images=image, out=tmp_path / str(number), no_mark=True)
    assert (tmp_path / "0/photo.png").read_bytes() == (tmp_path / "1/photo.png").read_bytes()
    expected = ThroughMasks.load(chain["bank"].parent).translate(portrait(0, PHOTOS)[0][None])[0]
    assert (np.asarray(Image.open(tmp_path / "0/photo.png")) == expected).all()
    assert read_mark(tmp_path / "0/photo.png").models == hashes([chain["bank"].parent / name for name in FILES])


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """A short training of the classifier."""
    monkeypatch.setattr(classifier, "STEPS", 3)


@pytest.fixture
def gan(tmp_path):
    """A translator of CycleGAN of random weights that was trained at half the portraits' height."""
    path, arguments = tmp_path / "cyclegan/a2b.safetensors", {"width": 4, "blocks": 1}
    save_model(path, ResnetGenerator(**arguments), arguments, {"size": 32})
    return path


def test_figures_are_those_of_translations_and_the_sheet_shows_both(chain, gan, tmp_path):
    figures, picture = tmp_path / "metrics.json", tmp_path / "sheet.png"
    paths, unet = chain["paths"], chain["networks"]["unet"]
    evaluate_through_masks(
        banks=[chain["bank"]], cyclegan=[gan], **paths, unet=unet, other_unet=unet, metrics=figures, picture=picture
    )
    found = json.loads(figures.read_text())
    assert set(found) == {"a2b"}
    assert {"frechet_scaled", "changed", "called", "diversity", "no_face", "mask_miou", "asked_miou"} <= set(
        found["a2b"]
    )
    assert "cycle" not in found["a2b"]
    rows = np.asarray(Image.open(picture))[6:].reshape(4, CELL + 6, -1, 3)[:, :CELL]  # a, CycleGAN, mask, through it
    reported = next(str(n) for n in range(80) if held_out(str(n), 0.5) and not in_choice(str(n)))
    [expected] = by_cyclegan(gan, paths["portraits"], [reported])
    cells = rows[1, :, -COLUMNS * (CELL + 6) :]
    assert (cells[:, :CELL] == expected.repeat(3, 0).repeat(3, 1)).all()


def test_directions_are_measured_each_at_its_painters_size_as_far_as_portraits_shrink(chain, tmp_path):
    networks, paths, unet = chain["networks"], chain["paths"], chain["networks"]["unet"]
    arguments, gaugan = ARGUMENTS | {"size": 32}, tmp_path / "gaugan.safetensors"
    save_model(gaugan, Generator(**arguments), arguments, {}, SEVEN)
    banks = [tmp_path / "b2a/bank.safetensors", chain["bank"]]
    turned = {"portraits": paths["other"], "other": paths["portraits"], "other_masks": paths["masks"], "holdout": 0.5}
    learn_through_masks(**networks | {"gaugan": gaugan}, **turned, cropping=Cropping(), bank=banks[0])
    found, through = tmp_path / "metrics.json", [ThroughMasks.load(bank.parent) for bank in banks]
    assert [measured_size(one, [paths["portraits"], paths["other"]]) for one in through] == [32, 64]
    evaluate_through_masks(
        banks=banks, **paths, unet=unet, other_unet=unet, metrics=found, picture=tmp_path / "sheet.png"
    )
    assert list(json.loads(found.read_text())) == ["a2b", "b2a"]
    through[0].size = 128
    assert measured_size(through[0], [paths["other"]]) == 64, "portraits are not enlarged"


@pytest.mark.parametrize("has_unet", [True, False])
def test_colors_are_compared_where_the_head_was_moved_to(has_unet):
    colors = np.random.default_rng(0).integers(0, 256, (20, len(ROLES), 3), np.uint8)
    roles = np.stack([PHOTOS[number % 3] for number in range(20)])
    images = np.stack([table[mask] for table, mask in zip(colors, roles, strict=True)])
    lower = np.roll(roles, 12, 1)
    translated = Translated(np.roll(images, 12, 1), None, lower if has_unet else None, np.zeros(20))
    way = SimpleNamespace(source=Side([], images, roles, []), segmenter=SimpleNamespace(size=(128, 128)))
    through = SimpleNamespace(masks=lambda _: roles, proportioned=lambda mask: np.roll(mask, 12, 0))
    found = asked_figures(way, translated, through)
    assert ("asked_miou" in found) == has_unet
    assert min(value for of in found["color_correlation"].values() for value in of.values()) > 0.95
    assert min(color_correlations(images, translated.images, roles)["all"].values()) < 0.9, "where it was"


def test_collections_without_masks_or_faces_are_refused(chain, tmp_path):
    paths = chain["paths"] | {"bank": tmp_path / "bank.safetensors", "cropping": Cropping()}
    with pytest.raises(UserError, match="portraits: no masks; accepted: portraits with pseudo_labels"):
        learn_through_masks(**chain["networks"], **(paths | {"masks": None}))
    empty, masks = write_portraits(tmp_path, [np.zeros((128, 128), np.uint8)], 20, with_masks=False)
    with pytest.raises(UserError, match=r"pseudo_labels: \d+ masks; accepted: some with a face"):
        learn_through_masks(**chain["networks"], **(paths | {"portraits": [empty], "masks": [masks]}))
    assert not (tmp_path / "bank.safetensors").exists()


def test_a_folder_without_a_model_and_a_damaged_one_are_named(chain, tmp_path):
    with pytest.raises(UserError, match=r"bank\.safetensors: no such model file"):
        ThroughMasks.load(tmp_path)
    (tmp_path / "bank.safetensors").write_bytes(chain["bank"].read_bytes()[:100])
    with pytest.raises(UserError, match=r"bank\.safetensors: not a readable model"):
        ThroughMasks.load(tmp_path)
