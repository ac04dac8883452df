"""Benchmark of labelme files to mask PNGs, on one core: this project, labelme's functions, labelme's VOC export.

    python benchmarks/labelme.py [--labelled FOLDER] [--rounds 5]

Without a folder the sample's portraits are rendered at 512 px. All converters convert each file in turn; processor time
is compared, which other work on the machine disturbs little. The masks that they write are compared pixel by pixel. The
last line holds the ratios as JSON.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# Python puts this file's folder first, where the file itself would pass for the package
sys.path.remove(str(Path(__file__).parent.resolve()))

import cyclopts
import imgviz
import numpy as np
import yaml
from labelme import LabelFile
from labelme.utils import img_data_to_arr, img_data_to_pil, shapes_to_label
from loguru import logger
from PIL import Image

from facemill.config.ingest import SampleConfig
from facemill.config.label import LabelsConfig
from facemill.data import labelme
from facemill.data.classes import SEVEN
from facemill.data.labelme_image import find_image
from facemill.data.shards import encode_mask
from facemill.ingest.render_sample import render

ROOT = Path(__file__).parent.parent
LABELS = LabelsConfig(**yaml.safe_load((ROOT / "config/config.yaml").read_text())["labels"])
IDS = LABELS.label_ids(SEVEN)


def this_project(path: Path, out: Path) -> None:
    """Reads, checks against the image's size, draws and writes."""
    annotation, _ = labelme.read(path)
    with Image.open(find_image(path, annotation)) as picture:
        size = picture.size[::-1]
    assert not labelme.check(annotation, size, IDS, tolerance=1).errors
    (out / f"{path.stem}.png").write_bytes(encode_mask(labelme.draw(annotation.shapes, size, IDS), SEVEN))


def _write_png(label: np.ndarray, path: Path) -> None:
    picture = Image.fromarray(label.astype(np.uint8)).convert("P")
    picture.putpalette(SEVEN.palette)
    picture.save(path)


def functions(path: Path, out: Path) -> None:
    """labelme's LabelFile and shapes_to_label, the PNG by Pillow."""
    file = LabelFile(str(path))
    size = img_data_to_pil(file.image_data).size[::-1]
    label, _ = shapes_to_label(size, file.shapes, IDS)
    _write_png(label, out / f"{path.stem}.png")


def plain_functions(path: Path, out: Path) -> None:
    """Python's json and labelme's shapes_to_label, the PNG by Pillow; nothing is checked."""
    content = json.loads(path.read_bytes())
    label, _ = shapes_to_label((content["imageHeight"], content["imageWidth"]), content["shapes"], IDS)
    _write_png(label, out / f"{path.stem}.png")


def voc_export(path: Path, out: Path) -> None:
    """What labelme's example `labelme2voc.py` does for semantic segmentation: image, mask PNG, npy, overlay picture."""
    file = LabelFile(str(path))
    (out / f"{path.stem}.jpg").write_bytes(file.image_data)
    image = img_data_to_arr(file.image_data)[..., :3]
    label, _ = shapes_to_label(image.shape, file.shapes, IDS)
    imgviz.io.lblsave(out / f"{path.stem}.png", label.astype(np.uint8))
    np.save(out / f"{path.stem}.npy", label)
    shown = imgviz.label2rgb(label, imgviz.rgb2gray(image), font_size=15, label_names=SEVEN.names, loc="rb")
    imgviz.io.imsave(out / f"{path.stem}_overlay.jpg", shown)


CONVERTERS: dict[str, Callable[[Path, Path], None]] = {
    "this project": this_project,
    "labelme's functions": functions,
    "labelme's shapes_to_label alone, unchecked": plain_functions,
    "labelme's VOC export": voc_export,
}


def main(*, labelled: Path | None = None, rounds: int = 5) -> None:
    """Times all converters and compares the masks that they write.

    Args:
        labelled: folder of labelme files with their images.
        rounds: how often every converter converts a file; the shortest time counts.
    """
    logger.remove()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    memory = Path("/dev/shm")  # where there is a file system in memory, so that no disk is measured
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        if labelled is None:
            sample = SampleConfig(portraits=60, labelled=40)
            render(folder / "sample", sample, size=256, seed=1, classes=SEVEN, labels=LABELS)
            labelled = folder / "sample/labelled"
        files = sorted(labelled.glob("*.json"))
        spent = {name: np.full(len(files), np.inf) for name in CONVERTERS}
        for number, path in enumerate(files):
            for converter, convert in CONVERTERS.items():
                (folder / converter).mkdir(exist_ok=True)
                for _ in range(rounds):
                    for written in (folder / converter).iterdir():
                        written.unlink()  # to write over a file takes longer than to write a new one
                    start = time.process_time()
                    convert(path, folder / converter)
                    spent[converter][number] = min(spent[converter][number], time.process_time() - start)
            masks = [np.asarray(Image.open(folder / name / f"{path.stem}.png")) for name in CONVERTERS]
            masks.append(np.load(folder / "labelme's VOC export" / f"{path.stem}.npy") % 256)
            assert all(np.array_equal(mask, masks[0]) for mask in masks), path
    each = {name: times.mean() * 1e3 for name, times in spent.items()}
    print(f"{len(files)} files, masks of {masks[0].shape[1]} x {masks[0].shape[0]} pixels, the same by all converters")
    for name, milliseconds in each.items():
        print(f"{name:45}{milliseconds:8.3f} ms a file{milliseconds / each['this project']:8.1f} x")
    ratios = {"vs_functions": "labelme's functions", "vs_voc_export": "labelme's VOC export"}
    print(json.dumps({key: round(each[name] / each["this project"], 2) for key, name in ratios.items()}))


if __name__ == "__main__":
    cyclopts.run(main)
