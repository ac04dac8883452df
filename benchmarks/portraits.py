"""Image shards, against decoding and encoding the same images and nothing else, on all cores, in one run.

    python benchmarks/portraits.py [--images 1200] [--source 768] [--size 512] [--rounds 3]

The images are drawn portraits, larger than they are needed and of every shape, as JPEGs. The limit is a loop over them
that decodes each with Pillow and encodes a picture of the portraits' size with OpenCV, in as many processes as there
are cores; Facemill's side runs `scripts/crop_portraits.py` once for each core: reading the table, opening, checking,
cutting, resizing, encoding, writing Parquet. Both include the start of their processes. The last line is JSON:
`of_codec_limit`, the limit's time over Facemill's.
"""

import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CORES = os.cpu_count() or 1


def main(images: int = 1200, source: int = 768, size: int = 512, rounds: int = 3) -> None:
    from facemill.config import Portraits
    from facemill.shards import count_rows

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder, images, source)
        settings = Portraits(size=size, shards=CORES).model_dump_json()
        limit, facemill = [], []
        for _ in range(rounds):
            limit.append(
                together([[sys.executable, __file__, "limit", folder, str(i), str(size)] for i in range(CORES)])
            )
            script = Path(__file__).parents[1] / "scripts/crop_portraits.py"
            facemill.append(
                together(
                    [sys.executable, script, "--selected", folder / "selected.parquet", "--settings", settings]
                    + ["--shard", str(i), "--out", folder / f"{i}.parquet", "--rejects", folder / f"r{i}.parquet"]
                    for i in range(CORES)
                )
            )
        assert count_rows([folder / f"{i}.parquet" for i in range(CORES)]) == images
    ratio = statistics.median(a / b for a, b in zip(limit, facemill, strict=True))
    print(f"{images} JPEGs of some {source} px to portraits of {size} px, {CORES} processes")
    for what, seconds in (("codecs alone", limit), ("facemill", facemill)):
        print(f"{what:13} {statistics.median(seconds):6.2f} s {images / statistics.median(seconds):6.0f} images/s")
    print(json.dumps({"of_codec_limit": round(ratio, 2)}))


def together(commands) -> float:
    """The seconds that commands take side by side."""
    start = time.perf_counter()
    jobs = [subprocess.Popen([str(part) for part in command], stderr=subprocess.DEVNULL) for command in commands]
    assert all(job.wait() == 0 for job in jobs)
    return time.perf_counter() - start


def generate(folder: Path, images: int, source: int) -> None:
    """Writes images and the table of selected posts."""
    import numpy as np
    import polars as pl
    from PIL import Image

    from facemill.ingest.drawing import draw
    from facemill.ingest.filter import select, write_selected
    from facemill.config import Filter
    from facemill.ingest.posts import Collection

    few = [Image.open(io.BytesIO(draw(id, 1).image(source + 300))).convert("RGB") for id in range(24)]
    random = np.random.default_rng(1)
    paths = []
    for number in range(images):
        width, height = (int(source * random.uniform(0.8, 1.2)) for _ in range(2))
        paths.append(str(folder / f"{number}.jpg"))
        few[number % len(few)].resize((width, height)).save(paths[-1], quality=90)
    with Collection(folder / "posts.parquet", folder / "rejects.parquet") as collection:
        collection.add({"id": [str(number) for number in range(images)], "path": paths}, images)
    write_selected(select(folder / "posts.parquet", Filter(), 1)[0], CORES, folder / "selected.parquet")


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
