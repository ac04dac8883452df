"""Avatars of portraits with given masks, against the plain loop of the article that they go back to, in one run.

    python benchmarks/avatars.py [--portraits 400] [--plain 12] [--style toon-head] [--rounds 3] [--parts FOLDER]

The portraits are figures of the style at 128 px, with their masks, in as many shards as there are cores. Facemill's
side runs the rules `cut_regions` and `match_avatars` in a process for each shard: reading, eight looks at each part,
standard scores, the nearest variants, colors measured, SVG, PNG, Parquet. The processes have started and imported
everything when the time begins.

The plain loop takes one portrait at a time, and of it one part at a time: a crop of the part, enlarged to 306 px, its
code by the article's autoencoder, `torch.cosine_similarity` to the stored code of each of the style's parts in turn;
then DiceBear's SVG and a PNG, in the colors of the portrait as they are. Torch has all cores. The stored codes are
random, since their values cost no time. A second loop shows the search alone: cosines of Facemill's own descriptors.

The last line is JSON: `portraits_per_second` of one style, and `vs_plain`, how many times as many as the plain loop.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CORES = len(os.sched_getaffinity(0))
SIZE = 128
PNG = 256


def main(
    portraits: int = 400, plain: int = 12, style: str = "toon-head", rounds: int = 3, parts: Path | None = None
) -> None:
    """Times both sides in turns; the style's parts are rendered first, or those of a folder are taken."""
    from facemill.avatars.describe_collection import describe_collection
    from facemill.avatars.render_parts import render_parts
    from facemill.data.shards import count_rows

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        products = {"parts": folder / "parts.parquet", "about": folder / "parts.json", "sheet": folder / "parts.png"}
        if parts:
            for suffix in ("parquet", "json"):
                shutil.copy(parts / f"{style}.{suffix}", folder / f"parts.{suffix}")
        else:
            render_parts(style=style, size=256, looks=8, seed=1, **products)
        generate(folder, portraits, style)
        together(folder, ["cut"])
        describe_collection(
            regions=[folder / f"regions-{i}.parquet" for i in range(CORES)],
            statistics=folder / "statistics.safetensors",
        )
        facemill, loop = [], []
        for _ in range(rounds):
            facemill.append([value / portraits for value in together(folder, ["cut", "match"])])
            loop.append(plain_loop(folder, plain))
        made = count_rows([folder / f"avatars-{i}.parquet" for i in range(CORES)])
        assert made == portraits, made
        searched, ours = search(folder)
    wall, worked = (statistics.median(b[i] / a[i] for a, b in zip(facemill, loop, strict=True)) for i in (0, 1))
    print(f"{portraits} portraits of {SIZE} px to {style}, PNGs of {PNG} px, {CORES} processes")
    for what, measured in (("facemill", facemill), (f"plain loop, {plain} portraits", loop)):
        seconds, processor = (statistics.median(column) for column in zip(*measured, strict=True))
        print(f"{what:26} {1 / seconds:6.1f} portraits/s, {processor * 1e3:6.1f} ms of processors each")
    print(f"of the processors' time: {worked:.1f}")
    print(f"search alone, a portrait: plain loop {searched * 1e3:.2f} ms, facemill {ours * 1e3:.3f} ms")
    rate = 1 / statistics.median(seconds for seconds, _ in facemill)
    print(json.dumps({"portraits_per_second": round(rate, 1), "vs_plain": round(wall, 1)}))


def together(folder: Path, steps: list[str]) -> tuple[float, float]:
    """The seconds that a process for each shard takes for these steps, and those that processors work for them.

    The former begin when all have imported what they need.
    """
    command = [sys.executable, __file__, "shard", str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    jobs = [subprocess.Popen([*command, str(i), *steps], **pipes) for i in range(CORES)]
    for job in jobs:
        assert job.stdout.readline() == "ready\n"
    start = time.perf_counter()
    for job in jobs:
        job.stdin.write("go\n")
        job.stdin.close()
    worked = sum(float(job.stdout.read()) for job in jobs)
    seconds = time.perf_counter() - start
    assert not any(job.wait() for job in jobs)
    return seconds, worked


def run_shard(folder: Path, shard: int, steps: list[str]) -> None:
    """Waits for a line, works on a shard, and prints the seconds that the processor worked for it."""
    from facemill.avatars.cut_regions import cut_regions
    from facemill.avatars.match_avatars import match_avatars

    print("ready", flush=True)
    sys.stdin.readline()
    before = time.process_time()
    regions = folder / f"regions-{shard}.parquet"
    if "cut" in steps:
        portraits, masks = folder / f"portraits-{shard}.parquet", folder / f"masks-{shard}.parquet"
        cut_regions(portraits=portraits, pseudo_labels=masks, looks=8, seed=1, regions=regions)
    if "match" in steps:
        match_avatars(
            regions=regions,
            statistics=folder / "statistics.safetensors",
            parts=folder / "parts.parquet",
            about=folder / "parts.json",
            size=PNG,
            avatars=folder / f"avatars-{shard}.parquet",
        )
    print(time.process_time() - before)


def generate(folder: Path, portraits: int, name: str) -> None:
    """Writes shards of figures of a style, and of their masks."""
    import numpy as np
    import pyarrow as pa

    from facemill.avatars.part_maps import over, picture, seven_mask
    from facemill.avatars.styles import DrawingStyle, random_options
    from facemill.data.classes import SEVEN
    from facemill.data.shards import IMAGE, encode_jpeg, encode_mask, write_shard

    style, rng = DrawingStyle.load(name), np.random.default_rng(1)
    images, masks = [], []
    for i in range(portraits):
        svg = style.svg(random_options(style, rng)[0])
        images.append({"id": str(i), "image": {"bytes": encode_jpeg(over(picture(svg, SIZE)))}})
        masks.append({"id": str(i), "mask": {"bytes": encode_mask(seven_mask(svg, style, SIZE), SEVEN)}})
    for what, rows, column in (("portraits", images, "image"), ("masks", masks, "mask")):
        for shard in range(CORES):
            schema = pa.schema([("id", pa.string()), (column, IMAGE)])
            write_shard(folder / f"{what}-{shard}.parquet", rows[shard::CORES], schema, SEVEN)


def plain_loop(folder: Path, count: int) -> tuple[float, float]:
    """The seconds of a portrait, one part at a time, by the article's autoencoder and one cosine at a time; and those
    of processors.
    """
    import cv2
    import numpy as np
    import torch

    from facemill.avatars.colors import hex_color
    from facemill.avatars.matching import Library
    from facemill.avatars.part_maps import picture
    from facemill.data.classes import SEVEN
    from facemill.data.shards import decode_image, decode_mask, read_rows
    from facemill.imaging.colors import region_colors
    from facemill.networks.part_autoencoder import CODE, PartAutoencoder
    from facemill.networks.part_autoencoder import SIZE as SIDE

    torch.set_num_threads(CORES)
    network, library = (
        PartAutoencoder(kind="original").eval(),
        Library.load(folder / "parts.parquet", folder / "parts.json"),
    )

    @torch.inference_mode()
    def code(crop: np.ndarray) -> torch.Tensor:
        enlarged = cv2.resize(crop, (SIDE, SIDE)).astype(np.float32) / 255
        return network.encode(torch.from_numpy(enlarged).permute(2, 0, 1)[None])[0]

    stored: dict[str, list[tuple[int, torch.Tensor]]] = {}
    for row in read_rows([folder / "parts.parquet"], ["role", "candidate"]):
        stored.setdefault(row["role"], []).append((row["candidate"], torch.rand(CODE)))
    images = list(read_rows([folder / "portraits-0.parquet"]))[:count]
    masks = list(read_rows([folder / "masks-0.parquet"]))[:count]
    start, before = time.perf_counter(), time.process_time()
    for i, (image, mask) in enumerate(zip(images, masks, strict=True)):
        pixels, ids = decode_image(image["image"]["bytes"]), decode_mask(mask["mask"]["bytes"])
        choices = {}
        for role, codes in stored.items():
            classes = {"eyes": "eye", "eyebrows": "eye", "face": "face"}.get(role, role)
            rows, columns = np.nonzero(ids == SEVEN.names.index(classes))
            if len(rows):
                own = code(pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
                best = max(codes, key=lambda of: float(torch.cosine_similarity(own, of[1], dim=0)))
                choices[role] = library.roles[role][best[0]]
        labs = region_colors(pixels, ids, SEVEN)
        colors = {region: hex_color(lab) for region, lab in labs.items() if lab is not None}
        colors = {region: color for region, color in colors.items() if region in library.style.color_options}
        options = library.style.options(choices, colors)
        png = cv2.imencode(".png", cv2.cvtColor(picture(library.style.svg(options), PNG), cv2.COLOR_RGBA2BGRA))[1]
        (folder / f"{i}.png").write_bytes(png.tobytes())
    return (time.perf_counter() - start) / count, (time.process_time() - before) / count


def search(folder: Path) -> tuple[float, float]:
    """The seconds that the nearest parts of a portrait take: cosines of descriptors in turn, and `match`."""
    import numpy as np
    import torch

    from facemill.avatars.composing import match
    from facemill.avatars.matching import Library
    from facemill.avatars.statistics import Statistics
    from facemill.data.shards import read_rows

    library = Library.load(folder / "parts.parquet", folder / "parts.json")
    collection = Statistics.load(folder / "statistics.safetensors")
    portraits: dict[str, dict] = {}
    for row in read_rows([folder / "regions-0.parquet"], ["id", "role", "descriptor"]):
        portraits.setdefault(row["id"], {})[row["role"]] = np.array(row["descriptor"], np.float32)
    parts = [(row["role"], torch.tensor(row["descriptor"])) for row in read_rows([folder / "parts.parquet"])]
    few = list(portraits.values())[:5]
    start = time.perf_counter()
    for portrait in few:
        for role, descriptor in portrait.items():
            own = torch.from_numpy(descriptor)
            max((float(torch.cosine_similarity(own, of, dim=0)) for name, of in parts if name == role), default=0)
    middle = time.perf_counter()
    match(list(portraits.values()), library, collection)
    return (middle - start) / len(few), (time.perf_counter() - middle) / len(portraits)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["shard", folder, shard, *steps]:
            run_shard(Path(folder), int(shard), steps)
        case _:
            import cyclopts

            cyclopts.run(main)
