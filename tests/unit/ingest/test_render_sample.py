import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from facemill.config.ingest import FilterConfig, SampleConfig
from facemill.config.label import LabelsConfig
from facemill.data import labelme
from facemill.data.classes import IGNORE, SEVEN, Class, ClassTable
from facemill.data.labelme import as_labelme
from facemill.data.shards import decode_mask
from facemill.errors import UserError
from facemill.files import sha256
from facemill.imaging.polygons import polygons
from facemill.ingest.danbooru import read_danbooru
from facemill.ingest.drawing import draw
from facemill.ingest.filter_posts import select
from facemill.ingest.images import list_images
from facemill.ingest.render_sample import VARIANTS, choose_ids, oddity, outline, part_class_ids, render_sample
from facemill.ingest.toon_head import COMPONENT_IDS, LABELS, PART_IDS

ROOT = Path(__file__).parents[3]
FILTER = FilterConfig(ratings=["g", "s"], min_score=0, min_size=64, tags_all=["solo"], tags_none=["lying", "from_side"])
MERGE = LabelsConfig(**yaml.safe_load((ROOT / "config/config.yaml").read_text())["labels"])

FINE_LABELS = list(dict.fromkeys(LABELS.values()))
FINE = ClassTable(
    tuple(Class(name=label, color="#102030", role=None if i else "background") for i, label in enumerate(FINE_LABELS))
)
FINE_MERGE = LabelsConfig(merge={label: [label] for label in FINE_LABELS}, validation=0.1, test=0.1)


def render(source: Path, classes: ClassTable = SEVEN, labels: LabelsConfig = MERGE) -> Path:
    settings, checksums = SampleConfig(portraits=30, labelled=6), source.with_suffix(".sha256")
    render_sample(
        settings=settings, size=32, seed=3, classes=classes, labels=labels, source=source, checksums=checksums
    )
    return source


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(tmp_path_factory.mktemp("sample") / "source")


@pytest.fixture(scope="module")
def fine_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(tmp_path_factory.mktemp("fine") / "source", FINE, FINE_MERGE)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rasterize(polygons: list[tuple[str, np.ndarray]], size: int, values: dict[str, int]) -> np.ndarray:
    """The mask of polygons, as the labels are converted: uint8 (size, size)."""
    shapes = [labelme.Shape(label, [(float(x), float(y)) for x, y in points]) for label, points in polygons]
    return labelme.draw(shapes, (size, size), values)


def ids_of_labels(classes: ClassTable, labels: LabelsConfig) -> dict[str, int]:
    return dict(zip(LABELS.values(), part_class_ids(classes, labels).tolist(), strict=True))


def test_the_same_settings_give_the_same_bytes_and_replace_an_earlier_folder(sample: Path, tmp_path: Path):
    (tmp_path / "again").mkdir()
    (tmp_path / "again/stale.txt").touch()
    assert files_of(render(tmp_path / "again")) == files_of(sample)


def test_checksums_are_those_of_the_files(sample: Path):
    lines = sample.with_suffix(".sha256").read_text().splitlines()
    assert lines == [f"{sha256(sample / name)}  {name}" for name in map(str, sorted(map(Path, files_of(sample))))]


def test_the_config_merges_the_parts_into_seven_classes():
    """The ids of the parts, in the order of the parts, as the sample had them before classes came from the config."""
    expected = ["background", "hair", "skin", "face", "skin", "clothes", "mouth", "hair", "eye", "face", "hair"]
    ids = part_class_ids(SEVEN, MERGE)
    assert [SEVEN.names[i] for i in ids[: len(expected)]] == expected
    assert (ids[COMPONENT_IDS] == ids).all()  # details are of their component's class


def test_ignored_labels_and_labels_without_a_class():
    ignoring = LabelsConfig(
        merge={n: v for n, v in FINE_MERGE.merge.items() if n != "nose"}, ignore=["nose"], validation=0, test=0
    )
    assert part_class_ids(FINE, ignoring)[PART_IDS["nose"]] == IGNORE
    with pytest.raises(UserError, match="labels.merge: 'nose' is in no class; accepted: each of background, hair, "):
        part_class_ids(FINE, ignoring.model_copy(update={"ignore": []}))


def test_fine_classes_change_neither_images_nor_labelme_files(sample: Path, fine_sample: Path):
    coarse, fine = files_of(sample), files_of(fine_sample)
    assert coarse.keys() == fine.keys()
    assert {name for name in coarse if coarse[name] != fine[name]} == {
        n for n in coarse if n.startswith("truth/") and n.endswith(".png")
    }


def test_fine_truth_merges_into_the_seven_classes(sample: Path, fine_sample: Path):
    to_seven = np.array([ids_of_labels(SEVEN, MERGE)[name] for name in FINE.names], np.uint8)
    labels = set()
    for path in (sample / "truth").glob("*.png"):
        fine = decode_mask((fine_sample / f"truth/{path.name}").read_bytes(), FINE)
        assert (to_seven[fine] == decode_mask(path.read_bytes(), SEVEN)).all()
        labels |= {FINE.names[i] for i in np.unique(fine)}
    assert labels == set(FINE_LABELS) >= {"eyebrow", "nose", "ear", "body", "face", "eyeball", "pupil", "eyelash"}


def test_metadata_has_the_form_of_the_dump(sample: Path):
    lines = (sample / "metadata.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    assert len(lines) == 30
    assert all(isinstance(first[key], str) for key in ("id", "score", "image_width", "file_size", "uploader_id"))
    assert set(first["tags"][0]) == {"id", "name", "category"}
    assert "fav_count" not in first
    assert (sample / f"images/{int(first['id']) % 1000:04}/{first['id']}.png").is_file()


def test_it_enters_by_the_door_of_real_collections(sample: Path, collect, tmp_path: Path):
    def read(collection):
        images = list_images([sample / "images"], collection.reject)
        read_danbooru([sample / "metadata.jsonl"], images, collection, 0.01)

    posts, rejects = collect(read)
    assert len(posts) == 29
    assert rejects["reason"].to_list() == ["no image file with this id"]
    kept, funnel = select(tmp_path / "out/posts.parquet", FILTER, 1)
    assert set(kept["id"]) >= {path.stem for path in (sample / "labelled").glob("*.json")}
    assert 0 < funnel["removed_in_order"].sum() < 12


def test_truth_is_there_for_every_post_at_the_size_of_its_image(sample: Path):
    for path in (sample / "images").rglob("*.png"):
        truth = decode_mask((sample / f"truth/{path.name}").read_bytes(), SEVEN)
        with Image.open(path) as image:
            assert image.size == truth.shape
    assert len(list((sample / "truth").glob("*.png"))) == 30


def test_the_variants_of_every_post_are_those_that_were_drawn(sample: Path):
    rows = pq.read_table(sample / "truth/variants.parquet").to_pylist()
    assert {row["id"] for row in rows} == {path.stem for path in (sample / "truth").glob("*.png")}
    assert all(draw(int(row["id"]), 3).variants.items() >= {(name, row[name]) for name in VARIANTS} for row in rows)
    assert {row["rearHair"] for row in rows} > {"none"} and {row["beard"] for row in rows} > {"none"}


@pytest.mark.parametrize("name", ["sample", "fine_sample"])
def test_labelme_files_rebuild_the_truth(name: str, request: pytest.FixtureRequest):
    folder, table, merge = request.getfixturevalue(name), *((SEVEN, MERGE) if name == "sample" else (FINE, FINE_MERGE))
    files = sorted((folder / "labelled").glob("*.json"))
    assert len(files) == 6
    for path in files:
        annotation, _ = labelme.read(path)
        truth = decode_mask((folder / f"truth/{path.stem}.png").read_bytes(), table)
        assert annotation and annotation.image_path == f"{path.stem}.png"
        assert (annotation.image_height, annotation.image_width) == (64, 64)
        mask = labelme.draw(annotation.shapes, (64, 64), ids_of_labels(table, merge))
        assert (mask == truth).mean() > 0.99


@pytest.mark.parametrize("post_id", range(4))
def test_outlines_rebuild_every_label(post_id: int):
    parts, ids = draw(post_id, 1).part_ids(256), ids_of_labels(FINE, FINE_MERGE)
    mask, truth = rasterize(outline(parts), 256, ids), part_class_ids(FINE, FINE_MERGE)[parts]
    for c in np.unique(truth):
        assert ((mask == c) & (truth == c)).sum() / ((mask == c) | (truth == c)).sum() > 0.98, FINE.names[c]


@pytest.mark.parametrize("post_id", range(12))
@pytest.mark.parametrize("size", [64, 256])
def test_details_change_no_pixel_of_the_seven_classes(post_id: int, size: int):
    parts, ids = draw(post_id, 1).part_ids(size), ids_of_labels(SEVEN, MERGE)
    components = list(LABELS.values())
    coarse = [(components[part], points) for part, points in polygons(COMPONENT_IDS[parts])]
    assert (rasterize(outline(parts), size, ids) == rasterize(coarse, size, ids)).all()


def test_a_component_in_the_hole_of_a_detail_stays():
    parts = np.zeros((40, 40), np.uint8)
    parts[5:35, 5:35] = PART_IDS["head"]
    parts[10:30, 10:30] = PART_IDS["eyes"]
    parts[12:28, 12:28] = PART_IDS["eyeballs"]
    parts[15:20, 15:20] = PART_IDS["hair"]
    parts[17, 17] = PART_IDS["eyes"]
    ids = ids_of_labels(FINE, FINE_MERGE)
    assert (rasterize(outline(parts), 40, ids) == part_class_ids(FINE, FINE_MERGE)[parts]).all()


def test_holes_are_drawn_after_what_surrounds_them():
    parts = np.zeros((40, 40), np.uint8)
    parts[5:35, 5:35] = PART_IDS["hair"]
    parts[10:30, 10:30] = 0
    parts[15:25, 15:25] = PART_IDS["head"]
    shapes = as_labelme("", parts.shape, outline(parts))["shapes"]
    assert [shape["label"] for shape in shapes] == ["hair", "background", "face"]
    ids = ids_of_labels(SEVEN, MERGE)
    assert (rasterize(outline(parts), 40, ids) == part_class_ids(SEVEN, MERGE)[parts]).all()


def test_faults_and_labels_are_different_posts_and_one_in_nine_is_odd():
    ids, labelled, faults = choose_ids(2000, 64, 1)
    assert len(set(ids)) == 2000 and ids == sorted(ids)
    assert len({post_id % 1000 for post_id in ids}) > 800
    assert len(labelled) == 64 and not labelled & faults.keys()
    assert Counter(faults.values()) == {"truncated image": 1, "missing image": 1, "broken line": 1}
    assert not any(oddity(post_id, 1) for post_id in labelled)
    assert 0.08 < np.mean([oddity(post_id, 1) is not None for post_id in ids]) < 0.14
    assert "broken line" not in choose_ids(100, 10, 1)[2].values()


def test_too_many_labelled():
    with pytest.raises(UserError, match=r"sample.labelled: found 20; accepted: up to \d+ of 20 portraits"):
        choose_ids(20, 20, 2)
