"""What the tests of ingest share: collections that are read back as tables."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from facemill.ingest.posts import Collection


@pytest.fixture
def collect(tmp_path: Path) -> Callable[..., tuple[pl.DataFrame, pl.DataFrame]]:
    """A function that fills a collection with a reader and gives the tables of posts and rejects."""

    def collected(read: Callable[[Collection], None], attributes: tuple[str, ...] = ()):
        posts, rejects = tmp_path / "out/posts.parquet", tmp_path / "out/rejects.parquet"
        with Collection(posts, rejects, attributes) as collection:
            read(collection)
        tables = pl.read_parquet(posts), pl.read_parquet(rejects)
        assert (collection.posts, collection.rejected) == tuple(map(len, tables))
        return tables

    return collected


@pytest.fixture
def picture() -> Callable[..., Path]:
    """A function that writes a small red image."""

    def write(path: Path, size: tuple[int, int] = (6, 4), kind: str | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, "red").save(path, kind)
        return path

    return write
