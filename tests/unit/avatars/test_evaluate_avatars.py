"""Figures of avatars on a small sample, which is drawn in one of the styles, and as a collection without truth."""

import csv
import json

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet
import pytest
from helpers.configs import sample_config
from PIL import Image

from facemill.avatars.cross_style import cross_style, same
from facemill.avatars.cut_regions import cut_regions, part_rows
from facemill.avatars.describe_collection import describe_collection
from facemill.avatars.drawn import Drawer, draw_all
from facemill.avatars.evaluate_avatars import evaluate_avatars
from facemill.avatars.match_avatars import match_avatars
from facemill.avatars.matching import Library
from facemill.avatars.render_parts import PART_SCHEMA
from facemill.avatars.styles import DrawingStyle
from facemill.config.avatars import AvatarsConfig
from facemill.config.ingest import SampleConfig
from facemill.config.label import LabelsConfig
from facemill.data.classes import SEVEN
from facemill.data.shards import IMAGE, decode_image, decode_mask, encode_jpeg, encode_mask, write_shard
from facemill.errors import UserError
from facemill.ingest.render_sample import render

STYLES = ["toon-head", "emoji"]
SIZE = 64
TEXT = pa.string()
CONFIG = sample_config()
SETTINGS = AvatarsConfig.model_validate(CONFIG["avatars"] | {"styles": STYLES, "size": 96, "looks": 1, "shown": 5})


def write_portraits(folder, source):
    """Shards of the sample's portraits and their masks, half as large, and the ids of the labelled ones."""
    rows = []
    for path in sorted(source.glob("images/*/*.png")):
        mask = decode_mask((source / f"truth/{path.name}").read_bytes(), SEVEN)
        try:
            image = decode_image(path.read_bytes())
        except UserError:  # the truncated one
            continue
        small = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        masked = cv2.resize(mask, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST)
        tags = ["open_mouth"] if int(path.stem) % 2 else []
        picture, mask_file = {"bytes": encode_jpeg(small)}, {"bytes": encode_mask(masked, SEVEN)}
        rows.append({"id": path.stem, "image": picture, "mask": mask_file, "tags": tags})
    schema = pa.schema([("id", TEXT), ("image", IMAGE), ("tags", pa.list_(TEXT))])
    write_shard(folder / "portraits.parquet", rows, schema)
    write_shard(folder / "masks.parquet", rows, pa.schema([("id", TEXT), ("mask", IMAGE)]), SEVEN)
    labelled = [{"id": path.stem} for path in source.glob("labelled/*.png")]
    write_shard(folder / "labels.parquet", labelled, pa.schema([("id", TEXT)]))


def write_parts(folder, name, count):
    """A style's table of parts, of portraits that it draws at random."""
    style = DrawingStyle.load(name)
    rows = []
    [drawn] = draw_all({name: style}, count, Drawer(SETTINGS.size, 1), 9).values()
    for portrait in drawn:
        for row in part_rows("", dict(portrait.parts)):
            if row["role"] in style.candidates:
                candidate = style.candidates[row["role"]].index(portrait.choices[row["role"]])
                rows.append(row | {"candidate": candidate, "choice": "", "context": 0})
    write_shard(folder / f"{name}.parquet", rows, PART_SCHEMA)
    (folder / f"{name}.json").write_text(json.dumps({"style": name, "roles": style.candidates, "weights": {}}))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """All that the evaluation reads."""
    folder = tmp_path_factory.mktemp("avatars")
    source = folder / "source"
    source.mkdir()
    labels = LabelsConfig.model_validate(CONFIG["labels"])
    render(source, SampleConfig(portraits=30, labelled=6), SIZE, 1, SEVEN, labels)
    write_portraits(folder, source)
    regions, statistics = folder / "regions.parquet", folder / "statistics.safetensors"
    shards = {"portraits": folder / "portraits.parquet", "pseudo_labels": folder / "masks.parquet"}
    cut_regions(**shards, looks=SETTINGS.looks, seed=1, regions=regions)
    describe_collection(regions=[regions], statistics=statistics)
    (folder / "parts").mkdir()
    for name in STYLES:
        write_parts(folder / "parts", name, 24)
        parts, about = folder / f"parts/{name}.parquet", folder / f"parts/{name}.json"
        shard = folder / f"{name}/shard-0000.parquet"
        match_avatars(
            regions=regions, statistics=statistics, parts=parts, about=about, size=SETTINGS.size, avatars=shard
        )
    (folder / "extractors.json").write_text('{"shape": {"mean": 0.5}}')
    return folder


def evaluated(made, out, **changes):
    """The figures; the pictures and the table are in the folder `out`."""
    options = {
        "portraits": [made / "portraits.parquet"],
        "pseudo_labels": [made / "masks.parquet"],
        "labels": [made / "labels.parquet"],
        "regions": [made / "regions.parquet"],
        "statistics": made / "statistics.safetensors",
        "parts": [made / f"parts/{name}.parquet" for name in STYLES],
        "avatars": [made / f"{name}/shard-0000.parquet" for name in STYLES],
    }
    written = {"metrics": out / "metrics.json", "table": out / "retrieval.csv"}
    written |= {"confusion": out / "confusion.png", "sheet": out / "avatars.png"}
    evaluate_avatars(**(options | changes), size=SETTINGS.size, looks=1, shown=5, seed=1, drawn=5, **written)
    return json.loads(written["metrics"].read_text(), parse_constant=pytest.fail)


@pytest.fixture(scope="module")
def sample(made, tmp_path_factory):
    """The figures of the sample, and the folder of the pictures."""
    out = tmp_path_factory.mktemp("out")
    return evaluated(made, out, source=made / "source", extractors=made / "extractors.json"), out


def test_portraits_with_labels_are_left_out(sample, made):
    figures, _ = sample
    labelled = len(list((made / "source/labelled").glob("*.png")))
    portraits = len(list((made / "source/images").glob("*/*.png"))) - 1  # without the truncated one
    assert figures["portraits"] == portraits - labelled
    assert figures["retrieval"]["unet_masks"]["n"] == portraits - labelled
    assert figures["retrieval"]["true_masks"]["n"] == portraits - labelled


def test_shares_of_right_parts_lie_above_chance(sample):
    retrieval = sample[0]["retrieval"]
    for scores in (retrieval["true_masks"], *retrieval["styles"].values()):
        for role in scores["top1"]:
            assert 0 <= scores[role] <= 1
            assert scores["top5"][role] >= scores["top1"][role]
    for masks in ("true_masks", "unet_masks"):
        assert retrieval[masks]["top1"]["eyes"] > 0.5
    assert set(retrieval["styles"]) == set(STYLES)


def test_all_figures_that_the_sample_has_are_measured(sample):
    figures, _ = sample
    assert figures["extractors"] == {"shape": {"mean": 0.5}}
    assert 0 < figures["color"]["hair"] < 3
    assert figures["color"]["n"]["skin"] > 0
    assert figures["color"]["styles"]["toon-head"]["hair"] < 3
    assert figures["expression"]["spearman"] > 0.5
    assert figures["expression"]["toggle"] > 0.5
    assert figures["expression"]["styles"]["emoji"]["pairs"] == 4
    for role in ("eyes", "mouth", "hair"):
        stable = figures["stability"][role]
        assert stable["unchanged"] > 0.7
        assert 1 <= stable["effective"] <= stable["of"]
    assert figures["cross_style"]["n"] == 2
    assert set(figures["cross_style"]["pairs"]) == {"toon-head to emoji", "emoji to toon-head"}


def test_the_table_has_each_variant_and_agrees_with_the_figures(sample):
    figures, out = sample
    rows = list(csv.DictReader((out / "retrieval.csv").open()))
    eyes = [row for row in rows if (row["masks"], row["role"]) == ("true masks", "eyes")]
    macro = np.mean([float(row["top1"]) for row in eyes])
    assert macro == pytest.approx(figures["retrieval"]["true_masks"]["eyes"], abs=1e-3)
    assert {row["variant"] for row in eyes} <= set(DrawingStyle.load("toon-head").components["eyes"])
    assert {row["masks"] for row in rows} == {"true masks", "U-Net's masks", "drawn"}


def test_the_contact_sheet_shows_portraits_masks_avatars_and_room_for_credits(sample):
    sheet = np.asarray(Image.open(sample[1] / "avatars.png"))
    assert sheet.shape[0] > 3 * 128
    assert (sheet[-30:] < 100).any()  # written there
    assert Image.open(sample[1] / "confusion.png").height > 500


def test_a_collection_without_truth_tags_and_labels_has_null_for_what_it_lacks(made, sample, tmp_path):
    schema = pa.schema([("id", TEXT), ("image", IMAGE)])
    bare = tmp_path / "portraits.parquet"
    rows = pa.parquet.read_table(made / "portraits.parquet").select(["id", "image"]).to_pylist()
    write_shard(bare, rows, schema)
    figures = evaluated(made, tmp_path, portraits=[bare], labels=None)
    assert figures["portraits"] == len(rows)
    assert figures["retrieval"]["true_masks"] is figures["retrieval"]["unet_masks"] is figures["extractors"] is None
    assert figures["expression"]["open_mouth"] is None
    for of_drawn in (lambda f: f["retrieval"]["styles"], lambda f: f["cross_style"]):
        assert of_drawn(figures) == of_drawn(sample[0])  # the same seed draws the same


def test_where_all_portraits_have_labels_all_are_measured(made, tmp_path):
    figures = evaluated(made, tmp_path, labels=[made / "portraits.parquet"], parts=[made / "parts/emoji.parquet"])
    assert figures["portraits"] > 20
    assert figures["cross_style"]["agreement"] is None  # one style alone
    assert figures["retrieval"]["true_masks"] is None


def test_masks_that_show_hair_alone_leave_other_roles_unmeasured(made, tmp_path):
    table = pa.parquet.read_table(made / "regions.parquet")
    hair = tmp_path / "regions.parquet"
    rows = table.filter(pa.compute.equal(table["role"], "hair")).to_pylist()
    write_shard(hair, rows, table.schema.remove_metadata())
    figures = evaluated(
        made, tmp_path, regions=[hair], parts=[made / "parts/toon-head.parquet"], source=made / "source"
    )
    assert figures["retrieval"]["unet_masks"]["eyes"] == 0  # a part that is not seen is not right
    assert figures["retrieval"]["unet_masks"]["hair"] > 0
    assert figures["expression"]["spearman"] is None
    assert set(figures["stability"]["styles"]["toon-head"]) >= {"hair", "eyes"}
    assert figures["stability"]["styles"]["toon-head"]["eyes"]["unchanged"] is None
    assert "eyes" not in figures["stability"]


def test_a_collection_without_parts_is_refused(made, tmp_path):
    empty = tmp_path / "regions.parquet"
    write_shard(empty, [], pa.parquet.read_schema(made / "regions.parquet").remove_metadata())
    with pytest.raises(UserError, match="has no parts of portraits"):
        evaluated(made, tmp_path, regions=[empty])


def test_agreement_is_of_roles_that_have_several_variants():
    style = DrawingStyle.load("toon-head")
    one = {"eyes": [{"eyes": "happy"}], "mouth": [{"mouth": "smile"}], "face": [{"head": "head"}]}
    two = {"eyes": [{"eyes": "happy"}], "mouth": [{"mouth": "sad"}]}
    assert same([one], [two], style) == 0.5
    assert same([one], [{}], style) == 0
    assert same([], [], style) is None


def test_what_goes_to_its_own_style_would_return(made):
    library = Library.load(made / "parts/emoji.parquet", made / "parts/emoji.json")
    drawer = Drawer(96, 1)
    drawn = draw_all({"a": library.style, "b": library.style}, 24, drawer, 9)
    crossed = cross_style(drawn, {"a": library, "b": library}, drawer, 6, 1)
    assert crossed["agreement"] > 0.7
    assert crossed["returned"] > 0.7
    assert crossed["n"] == 12
