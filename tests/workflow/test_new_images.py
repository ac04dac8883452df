"""A new, replaced or removed image anywhere in a collection reruns what reads it, and nothing else does."""

import os
import shutil
from pathlib import Path

from helpers.running import ROOT, planned, snakemake
from PIL import Image


def picture(path: Path, angle: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.linear_gradient("L").rotate(angle).convert("RGB").save(path)


def test_a_new_or_replaced_image_in_a_subfolder_is_noticed(tmp_path):
    images = tmp_path / "images"
    for number in range(4):
        picture(images / f"batch{number % 2}" / f"{number}.png", number * 20)
    (tmp_path / "labelled").mkdir()
    files = ["--snakefile", str(ROOT / "Snakefile"), "--workflow-profile", str(ROOT / "profiles/default")]
    files += ["--configfile", str(ROOT / "config/folder.yaml"), "--config", "dataset=mine"]
    settings = ["source={images: images, labelled: labelled}", "portraits={shards: 1, duplicates: null}"]
    portraits = [*files, *settings, "--", "portraits"]
    code, said = snakemake(tmp_path, *portraits)
    assert code == 0, said
    assert planned(tmp_path, *portraits) == {}

    (images / "batch1/.hidden.png").touch()
    (images / "batch1/notes.txt").touch()
    assert planned(tmp_path, *portraits) == {}

    picture(images / "batch1/new.png", 90)
    assert planned(tmp_path, *portraits) == {"crop_portraits": 1, "filter_posts": 1, "ingest_posts": 1, "portraits": 1}
    (images / "batch1/new.png").unlink()
    assert planned(tmp_path, *portraits) == {}

    replaced = images / "batch0/0.png"  # by another of the same size: the table of posts will be the same
    date = replaced.stat().st_mtime_ns
    shutil.copyfile(images / "batch1/1.png", replaced)
    os.utime(replaced, ns=(date + 1, date + 1))
    jobs = planned(tmp_path, *portraits)
    assert "ingest_posts" in jobs and "crop_portraits" in jobs
