import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from facemill.config.ingest import FilterConfig
from facemill.data.labelme import as_labelme
from facemill.data.shards import decode_mask
from facemill.errors import UserError
from facemill.ingest.danbooru import read_danbooru
from facemill.ingest.drawing import CLASS_OF_PART, FINE_LABELS, draw
from facemill.ingest.filter_posts import select
from facemill.ingest.images import list_images
from facemill.ingest.render_sample import choose_ids, oddity, outline, render, replace_folder

FILTER = FilterConfig(ratings=["g", "s"], min_score=0, min_size=64, tags_all=["solo"], tags_none=["lying", "from_side"])


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "source"
    assert len(list(render(folder, portraits=30, labelled=6, size=32, seed=3))) == 30
    return folder


def rebuilt(shapes: list[dict], size: int) -> np.ndarray:
    """The class mask that labelme shapes give, drawn one over another."""
    ids = {label: int(id) for label, id in zip(FINE_LABELS.values(), CLASS_OF_PART, strict=True)}
    mask = Image.new("L", (size, size))
    for shape in shapes:
        points = [tuple(point) for point in shape["points"]]
        ImageDraw.Draw(mask).polygon(points, fill=ids[shape["label"]], outline=ids[shape["label"]])
    return np.asarray(mask)


def test_the_same_settings_give_the_same_bytes(sample: Path, tmp_path: Path):
    list(render(tmp_path / "again", portraits=30, labelled=6, size=32, seed=3))
    files = sorted(path.relative_to(sample) for path in sample.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*") if p.is_file())
    assert all((sample / file).read_bytes() == (tmp_path / "again" / file).read_bytes() for file in files)


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
        truth = decode_mask((sample / f"truth/{path.name}").read_bytes())
        with Image.open(path) as image:
            assert image.size == truth.shape
    assert len(list((sample / "truth").iterdir())) == 30


def test_labelme_files_rebuild_the_truth(sample: Path):
    files = sorted((sample / "labelled").glob("*.json"))
    assert len(files) == 6
    for path in files:
        content = json.loads(path.read_text())
        truth = decode_mask((sample / f"truth/{path.stem}.png").read_bytes())
        assert (content["imagePath"], content["imageHeight"], content["imageWidth"]) == (f"{path.stem}.png", 64, 64)
        assert (rebuilt(content["shapes"], 64) == truth).mean() > 0.995


@pytest.mark.parametrize("id", range(4))
def test_outlines_rebuild_every_class(id: int):
    parts = draw(id, 1).part_ids(256)
    found, truth = rebuilt(as_labelme("", parts.shape, outline(parts))["shapes"], 256), CLASS_OF_PART[parts]
    for c in np.unique(truth):
        assert ((found == c) & (truth == c)).sum() / ((found == c) | (truth == c)).sum() > 0.98


def test_holes_are_drawn_after_what_surrounds_them():
    parts = np.zeros((40, 40), np.uint8)
    hair, face = list(FINE_LABELS).index("hair"), list(FINE_LABELS).index("head")
    parts[5:35, 5:35] = hair
    parts[10:30, 10:30] = 0
    parts[15:25, 15:25] = face
    shapes = as_labelme("", parts.shape, outline(parts))["shapes"]
    assert [shape["label"] for shape in shapes] == ["hair", "background", "face"]
    assert (rebuilt(shapes, 40) == CLASS_OF_PART[parts]).all()


def test_faults_and_labels_are_different_posts_and_one_in_nine_is_odd():
    ids, labelled, faults = choose_ids(2000, 64, 1)
    assert len(set(ids)) == 2000 and ids == sorted(ids)
    assert len({id % 1000 for id in ids}) > 800
    assert len(labelled) == 64 and not labelled & faults.keys()
    assert Counter(faults.values()) == {"truncated image": 1, "missing image": 1, "broken line": 1}
    assert not any(oddity(id, 1) for id in labelled)
    assert 0.08 < np.mean([oddity(id, 1) is not None for id in ids]) < 0.14
    assert "broken line" not in choose_ids(100, 10, 1)[2].values()


def test_too_many_labelled():
    with pytest.raises(UserError, match=r"sample.labelled: found 20; accepted: up to \d+ of 20 portraits"):
        choose_ids(20, 20, 2)


def test_a_finished_folder_replaces_an_earlier_one(tmp_path: Path):
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.txt").touch()
    replace_folder(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["new.txt"]
    assert not (tmp_path / "new").exists()
