"""Makes one shard of portraits from selected posts."""

from pathlib import Path
from typing import Annotated

import polars as pl

from facemill.command import Settings, log, progress, run
from facemill.config import Portraits
from facemill.files import whole
from facemill.ingest.portraits import SCHEMA, Unreadable, load_portrait
from facemill.shards import encode_jpeg, order_of, shard_of, write_shard

REJECTS = {"id": pl.String, "source": pl.String, "reason": pl.String}


def main(*, selected: Path, settings: Annotated[Portraits, Settings], shard: int, out: Path, rejects: Path) -> None:
    """Open, check, cut square and resize the images of one shard.

    Parameters
    ----------
    selected
        The table of selected posts.
    settings
        The config's `portraits`, as JSON.
    shard
        Which shard: the posts whose id falls into it.
    out
        The shard of portraits, Parquet.
    rejects
        The images that cannot be used, with the reason, Parquet.
    """
    posts = pl.read_parquet(selected, columns=["id", "path", "tags"]).to_dicts()
    mine = sorted((p for p in posts if shard_of(p["id"], settings.shards) == shard), key=lambda p: order_of(p["id"]))
    rows, unreadable = [], []
    for post in progress(mine, f"portraits {shard}", len(mine)):
        try:
            pixels = load_portrait(Path(post["path"]), settings.size)
        except Unreadable as error:
            unreadable.append((post["id"], post["path"], str(error)))
            continue
        image = {"bytes": encode_jpeg(pixels), "path": f"{post['id']}.jpg"}
        rows.append({"id": post["id"], "image": image, "tags": post["tags"], "source": post["path"]})
    with whole(rejects) as beside:
        pl.DataFrame(unreadable, REJECTS, orient="row").write_parquet(beside)
    write_shard(out, rows, SCHEMA)
    log.info("shard %d: %d portraits, %d rejected", shard, len(rows), len(unreadable))


if __name__ == "__main__":
    run(main)
