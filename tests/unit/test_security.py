"""What comes from outside is treated as hostile: files, their names, settings, and code that would run them."""

import ast
import base64
import json
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from helpers.bombs import bomb
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from facemill.config.label import LabelsConfig
from facemill.data import labelme
from facemill.data.classes import SEVEN
from facemill.data.labelme_image import find_image
from facemill.errors import UserError
from facemill.ingest.celeba import read_celeba, read_names
from facemill.ingest.danbooru import read_danbooru
from facemill.ingest.images import list_images
from facemill.ingest.posts import Collection
from facemill.label.label_files import labelme_files
from facemill.label.labelled_rows import labelled_rows

ROOT = Path(__file__).parents[2]
SOURCES = [*ROOT.glob("facemill/**/*.py"), *ROOT.glob("scripts/*.py"), *ROOT.glob("benchmarks/**/*.py")]
FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_loads_pickles_or_runs_what_it_reads(source):
    """No pickle (also inside torch and numpy), no eval, no shell, no archive unpacked without a look at its names."""
    banned_modules = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    banned_calls = {
        "torch.load",
        "pd.read_pickle",
        "yaml.load",
        "yaml.unsafe_load",
        "os.system",
        "eval",
        "exec",
    }
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not banned_modules & {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in banned_modules
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in banned_calls, ast.unparse(node)
            assert not any(keyword.arg in ("shell", "allow_pickle") for keyword in node.keywords), ast.unparse(node)
            assert not ast.unparse(node.func).endswith((".extractall", ".unpack_archive")), ast.unparse(node)


NUMBERS = st.floats() | st.integers(-5, 40)
SHAPE = st.fixed_dictionaries(
    {
        "label": st.sampled_from(["hair", "face", "no such", ""]) | JSON,
        "points": st.lists(st.tuples(NUMBERS, NUMBERS), max_size=5) | JSON,
    },
    optional={
        "shape_type": st.sampled_from([*labelme.POINTS, None, "no such"]),
        "mask": st.none() | st.text() | st.binary().map(lambda b: base64.b64encode(b).decode()) | JSON,
    },
)
ANNOTATION = st.fixed_dictionaries(
    {"shapes": st.lists(SHAPE, max_size=3) | JSON},
    optional={
        "imagePath": st.sampled_from(["a.png", "../a.png", "/etc/passwd", "..\\a.png", "\0", "a/" * 3000]) | JSON,
        "imageData": st.none() | st.text(max_size=20),
        "imageHeight": st.integers(-1, 40) | JSON,
        "imageWidth": st.integers(-1, 40) | JSON,
    },
)
LABELS = LabelsConfig(
    merge={
        "background": [], "skin": ["body"], "face": ["face"], "eye": ["eye"],
        "mouth": ["mouth"], "hair": ["hair"], "clothes": ["clothes"],
    },
    validation=0.1,
    test=0.1,
)  # fmt: skip


@FUZZ
@given(content=(ANNOTATION | JSON).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
def test_any_labelme_file_is_converted_or_its_faults_are_named(tmp_path, content):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_bytes(content)
    try:
        [row], _ = labelled_rows(labelme_files(tmp_path, LABELS, SEVEN), SEVEN, 32)
    except UserError as error:
        assert "a.json: " in str(error)
    else:
        assert row["id"] == "a"


@pytest.mark.parametrize("place", ["mask", "imageData", "file"])
def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path, place):
    encoded = base64.b64encode(bomb()).decode()
    shape = {"label": "hair", "points": [[0, 0], [31, 31]], "shape_type": "mask", "mask": encoded}
    annotation = {"shapes": [shape], "imagePath": "a.png", "imageData": encoded if place == "imageData" else None}
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    if place == "file":
        (tmp_path / "a.png").write_bytes(bomb())
    (tmp_path / "a.json").write_text(json.dumps(annotation))
    with pytest.raises(UserError, match="a.json: "):
        labelled_rows(labelme_files(tmp_path, LABELS, SEVEN), SEVEN, 32)


@pytest.mark.parametrize("path", ["../secret.png", "/{folder}/secret.png", "..\\secret.png", "x/../../secret.png"])
def test_a_labelme_file_does_not_lead_out_of_its_folder(tmp_path, path):
    Image.new("RGB", (32, 32)).save(tmp_path / "secret.png")
    folder = tmp_path / "labelled"
    (folder / "x").mkdir(parents=True)
    annotation = labelme.Annotation([], image_path=path.format(folder=str(tmp_path)[1:]))
    assert find_image(folder / "a.json", annotation) is None


def collected(folder: Path, read: Callable[[Collection], None], attributes: tuple[str, ...] = ()):
    """The tables of posts and rejects that a reader fills."""
    with Collection(folder / "posts.parquet", folder / "rejects.parquet", attributes) as collection:
        read(collection)
    return pl.read_parquet(folder / "posts.parquet"), pl.read_parquet(folder / "rejects.parquet")


def images_of(folder: Path, name: str) -> pl.DataFrame:
    """A folder of images with one image in it, as the readers take it."""
    images = folder / "images"
    images.mkdir(exist_ok=True)
    Image.new("RGB", (8, 8)).save(images / name)
    return list_images([images], lambda path, reason: None)


FIELDS = ["id", "md5", "created_at", "rating", "score", "image_width", "file_ext", "is_deleted", "favs", "tags"]
POST = st.fixed_dictionaries({"id": st.integers(0, 3) | JSON}, optional={field: JSON for field in FIELDS[1:]})


@FUZZ
@example(lines=[b"\0\0\0\0"])
@given(lines=st.lists((POST | JSON).map(lambda v: json.dumps(v).encode()) | st.binary(max_size=40), max_size=6))
def test_any_metadata_becomes_posts_and_rejects(tmp_path, lines):
    images, metadata = images_of(tmp_path, "1.png"), tmp_path / "metadata.jsonl"
    metadata.write_bytes(b"\n".join(lines))
    try:
        posts, rejects = collected(tmp_path, lambda collection: read_danbooru([metadata], images, collection, 0.99))
    except UserError as error:
        assert re.search("broken|JSON list|not UTF-|holds zeros|metadata.jsonl: cannot be read to its end", str(error))
        return
    assert set(posts["path"]) <= set(images["path"]) and set(posts["id"]) <= {"1"}
    assert len(rejects) + len(posts) >= 1


@FUZZ
@given(content=st.binary(max_size=200) | st.text(alphabet="1-0 \nabSmiling./", max_size=200).map(str.encode))
def test_any_attribute_file_becomes_posts_and_rejects(tmp_path, content):
    images, attributes = images_of(tmp_path, "a.png"), tmp_path / "list"
    attributes.write_bytes(content)
    try:
        posts, _ = collected(
            tmp_path,
            lambda collection: read_celeba(attributes, None, images, collection, 0.99),
            read_names(attributes),
        )
    except UserError:
        return
    assert set(posts["path"]) <= set(images["path"])
