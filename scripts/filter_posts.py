"""Selects posts and shows how many each rule removes."""

from pathlib import Path
from typing import Annotated

import polars as pl

from facemill.command import Settings, log, run
from facemill.config import Filter
from facemill.errors import BadInput
from facemill.files import whole
from facemill.ingest.filter import plot_funnel, select


def main(
    *, posts: Path, settings: Annotated[Filter, Settings], seed: int, out: Path, funnel: Path, picture: Path
) -> None:
    """Keep the posts that all rules of the filter keep.

    Parameters
    ----------
    posts
        The table of posts.
    settings
        The config's `filter`, as JSON.
    seed
        Draws the posts when the filter has a limit.
    out
        The posts that are kept, Parquet.
    funnel
        What each rule removes, alone and in order, CSV.
    picture
        The same as a picture, PNG.
    """
    kept, counts = select(pl.read_parquet(posts), settings, seed)
    if kept.is_empty():
        worst = counts.sort("removed_alone").row(-1, named=True)
        raise BadInput(f"filter: no post is left; '{worst['rule']}' alone removes {worst['removed_alone']}")
    with whole(out) as beside:
        kept.write_parquet(beside)
    with whole(funnel) as beside:
        counts.write_csv(beside)
    plot_funnel(counts, picture)
    log.info("%d of %d posts selected", len(kept), counts["left"][0])


if __name__ == "__main__":
    run(main)
