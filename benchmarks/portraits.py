"""Image shards, against decoding and encoding the same images and nothing else, on all cores, in one run.

    python benchmarks/portraits.py [--images 6000] [--source 512] [--size 256] [--any-shape] [--rounds 3]

The images are synthetic portraits with grain, as JPEGs: squares as in the Danbooru sets of 512 px, or of any shape and
size near that. The limit is a loop that decodes each image with Pillow and encodes a picture of the portraits' size
with OpenCV, in as many processes as there are cores; Facemill's side runs `scripts/crop_portraits.py` once for each
core: reading the table, opening, checking, cutting, resizing, encoding, writing Parquet. Both include the start of
their processes. The last line is JSON: `of_codec_limit`, the limit's time over Facemill's; the same of the processors'
time stands above it, which other work on the machine disturbs less.
"""

import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

CORES = os.cpu_count() or 1


def main(images: int = 6000, source: int = 512, size: int = 256, any_shape: bool = False, rounds: int = 3) -> None:
    """Times both sides in turns."""
    from facemill.config.ingest import PortraitsConfig
    from facemill.data.shards import count_rows

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder, images, source, any_shape)
        settings = PortraitsConfig(size=size, shards=CORES).model_dump_json()
        limit, facemill = [], []
        for _ in range(rounds):
            limit.append(
                together([[sys.executable, __file__, "limit", folder, str(i), str(size)] for i in range(CORES)])
            )
            script = Path(__file__).parents[1] / "scripts/crop_portraits.py"
            facemill.append(
                together(
                    [
                        *(sys.executable, script, "--selected", folder / "selected.parquet", "--settings", settings),
                        *("--shard", i, "--portraits", folder / f"{i}.parquet", "--rejects", folder / f"r{i}.parquet"),
                    ]
                    for i in range(CORES)
                )
            )
        assert count_rows([folder / f"{i}.parquet" for i in range(CORES)]) == images
    wall, worked = (statistics.median(a[i] / b[i] for a, b in zip(limit, facemill, strict=True)) for i in (0, 1))
    shape = "any shape" if any_shape else "squares"
    print(f"{images} JPEGs of some {source} px, {shape}, to portraits of {size} px, {CORES} processes")
    for what, measured in (("codecs alone", limit), ("facemill", facemill)):
        seconds, processor = (statistics.median(column) for column in zip(*measured, strict=True))
        print(f"{what:13} {seconds:6.2f} s {images / seconds:6.0f} images/s, {processor:6.2f} s of processors")
    print(f"of the processors' time: {worked:.2f}")
    print(json.dumps({"of_codec_limit": round(wall, 2)}))


def together(commands: Iterable[list]) -> tuple[float, float]:
    """The seconds that commands take side by side, and those that processors work for them."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    jobs = [subprocess.Popen([str(part) for part in command], stderr=subprocess.DEVNULL) for command in commands]
    assert all(job.wait() == 0 for job in jobs)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, worked


def generate(folder: Path, images: int, source: int, any_shape: bool) -> None:
    """Writes images and the table of selected posts."""
    import cv2
    import numpy as np
    from PIL import Image

    from facemill.config.ingest import FilterConfig
    from facemill.ingest.drawing import draw
    from facemill.ingest.filter_posts import select
    from facemill.ingest.posts import Collection
    from facemill.ingest.selected import write_selected

    random = np.random.default_rng(1)
    originals, paths = [], []
    for i in range(24):
        drawing = np.asarray(Image.open(io.BytesIO(draw(i, 1).image(source))).convert("RGB"), np.float32)
        grain = cv2.GaussianBlur(random.normal(0, 16, drawing.shape).astype(np.float32), (0, 0), 1)
        originals.append(Image.fromarray(np.clip(drawing + grain, 0, 255).astype(np.uint8)))
    for number in range(images):
        image, path = originals[number % len(originals)], folder / f"{number}.jpg"
        if number < len(originals) or any_shape:
            shape = [round(source * random.uniform(0.8, 1.2)) for _ in range(2)] if any_shape else image.size
            image.resize(shape).save(path, quality=90)
        else:
            path.hardlink_to(folder / f"{number % len(originals)}.jpg")
        paths.append(str(path))
    with Collection(folder / "posts.parquet", folder / "rejects.parquet") as collection:
        collection.add({"id": [str(number) for number in range(images)], "path": paths}, images)
    write_selected(
        select(folder / "posts.parquet", FilterConfig(), 1)[0].to_arrow(), CORES, folder / "selected.parquet"
    )


def codecs(folder: Path, part: int, size: int) -> None:
    """Decodes every image of a part, and encodes a picture of the portraits' size each time."""
    import cv2
    import numpy as np
    from PIL import Image

    picture = None
    options = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    for path in sorted(folder.glob("*.jpg"))[part::CORES]:
        with Image.open(path) as image:
            pixels = np.asarray(image)
        if picture is None:
            picture = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)
        cv2.imencode(".jpg", picture, options)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["limit", folder, part, size]:
            codecs(Path(folder), int(part), int(size))
        case _:
            import cyclopts

            cyclopts.run(main)
