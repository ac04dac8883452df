"""The culling page of faces: one file, on which a click rejects a face."""

import hashlib
from pathlib import Path

from facemill.files import atomic_write
from facemill.ingest.culling_sheet import render_page
from facemill.log import log
from facemill.swap.faces import BY_HAND, read_rows_of


def cull_faces(*, faces: Path, page: Path) -> None:
    """Makes a page of a film's faces that needs no server: a click rejects, a button exports.

    It shows the faces that are used, and those that were rejected by hand before, so that a list that it exports
    replaces the last one. The browser keeps the clicks of each film by itself; those of a renewed page follow what was
    rejected by hand since.

    Args:
        faces: the table of faces.
        page: the page, HTML.
    """
    rows, digest = [], hashlib.sha256()
    for row in read_rows_of(faces, ["id", "matrix", "image", "rejected"]):
        digest.update(f"{row['id']} {row['matrix']}\n".encode())  # the same whatever is rejected by hand
        if row["rejected"] in (None, BY_HAND):
            rows.append(row)
    dataset, side = _dataset(faces), rows[0]["id"].partition("-")[0] if rows else ""
    rejected = [row["id"] for row in rows if row["rejected"]]
    title, key = f"{dataset}, faces of {side}", f"facemill {dataset} faces {side} {digest.hexdigest()[:12]}"
    html_page = render_page(title, key, f"faces-{side}", rows, "face", rejected)
    with atomic_write(page) as tmp:
        tmp.write_text(html_page)
    log.info("%d faces, %d of them rejected by hand", len(rows), len(rejected))


def _dataset(faces: Path) -> str:
    """The dataset in whose `swap/<side>/faces.parquet` the faces are."""
    parts = faces.absolute().parts
    return parts[-4] if len(parts) > 4 else "faces"
