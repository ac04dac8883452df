"""Selects posts and shows how many each rule removes."""

from pathlib import Path
from typing import Annotated

from facemill.config.ingest import FilterConfig
from facemill.errors import UserError
from facemill.files import atomic_write
from facemill.ingest.filter_posts import plot_funnel, select
from facemill.ingest.selected import write_selected
from facemill.log import log
from facemill.workflow.command import Settings, run


def main(
    *,
    posts: Path,
    settings: Annotated[FilterConfig, Settings],
    seed: int,
    shards: int,
    out: Path,
    funnel: Path,
    picture: Path,
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
    shards
        Number of shards that the posts are divided into.
    out
        The posts that are kept, Parquet.
    funnel
        What each rule removes, alone and in order, CSV.
    picture
        The same as a picture, PNG.
    """
    kept, counts = select(posts, settings, seed)
    if kept.is_empty():
        worst = counts.sort("removed_alone").row(-1, named=True)
        raise UserError(f"filter: no post is left; '{worst['rule']}' alone removes {worst['removed_alone']}")
    write_selected(kept.to_arrow(), shards, out)
    with atomic_write(funnel) as tmp:
        counts.write_csv(tmp)
    plot_funnel(counts, picture)
    log.info("%d of %d posts selected", len(kept), counts["left"][0])


if __name__ == "__main__":
    run(main)
