"""Makes the page on which the portraits of a shard are culled."""

from pathlib import Path

from facemill.data.shards import count_rows, read_rows
from facemill.files import atomic_write
from facemill.ingest.culling_sheet import culling_sheet
from facemill.log import log
from facemill.workflow.command import run


def main(*, portraits: Path, dataset: str, shard: str, out: Path) -> None:
    """Thumbnails of a shard's portraits in a page that works without a server: a click rejects, a button exports.

    Parameters
    ----------
    portraits
        The shard of portraits.
    dataset
        Its dataset, for the title.
    shard
        Its number, for the title and the exported file's name.
    out
        The page, HTML.
    """
    page = culling_sheet(dataset, shard, read_rows([portraits], ["id", "image"]))
    with atomic_write(out) as tmp:
        tmp.write_text(page)
    log.info("%d portraits", count_rows([portraits]))


if __name__ == "__main__":
    run(main)
