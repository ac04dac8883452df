"""Renders the embedded sample as a Danbooru dump with labelme files."""

import shutil
from pathlib import Path
from typing import Annotated

from facemill.config.root import Sample
from facemill.files import sha256, whole
from facemill.ingest.render_sample import render, replace_folder
from facemill.workflow.command import Settings, progress, run


def main(*, settings: Annotated[Sample, Settings], size: int, seed: int, out: Path, checksums: Path) -> None:
    """Render portraits with their exact masks, as a Danbooru dump with labelme files.

    Parameters
    ----------
    settings
        The config's `sample`, as JSON.
    size
        The width and height of portraits; original images are twice as large.
    seed
        Another seed gives other portraits.
    out
        The folder to write; an earlier one is replaced.
    checksums
        The SHA-256 of every file in it, in the form of `sha256sum`.
    """
    beside = out.with_name(f".{out.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    rendered = render(beside, settings.portraits, settings.labelled, size, seed)
    for _ in progress(rendered, "rendering", settings.portraits, "portraits"):
        pass
    replace_folder(beside, out)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    with whole(checksums) as new:
        new.write_text("".join(f"{sha256(path)}  {path.relative_to(out)}\n" for path in files))


if __name__ == "__main__":
    run(main)
