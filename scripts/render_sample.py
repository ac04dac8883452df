"""Renders the embedded sample as a Danbooru dump with labelme files."""

import shutil
from pathlib import Path
from typing import Annotated

from facemill.config.ingest import SampleConfig
from facemill.files import atomic_write, sha256
from facemill.ingest.render_sample import render, replace_folder
from facemill.log import progress
from facemill.workflow.command import Settings, run


def main(*, settings: Annotated[SampleConfig, Settings], size: int, seed: int, out: Path, checksums: Path) -> None:
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
    tmp = out.with_name(f".{out.name}.part")
    shutil.rmtree(tmp, ignore_errors=True)
    rendered = render(tmp, settings.portraits, settings.labelled, size, seed)
    for _ in progress(rendered, "rendering", settings.portraits, "portraits"):
        pass
    replace_folder(tmp, out)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    with atomic_write(checksums) as new:
        new.write_text("".join(f"{sha256(path)}  {path.relative_to(out)}\n" for path in files))


if __name__ == "__main__":
    run(main)
