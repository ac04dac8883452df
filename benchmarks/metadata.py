"""Metadata to the filtered table, against `pandas.read_json(lines=True)` and the same filter, in one run.

    python benchmarks/metadata.py [--posts 100000] [--large 1000000]

Posts of realistic length are generated in the form of the Danbooru2021 dump. Both sides start as new processes and end
with the selected posts in a Parquet file; Facemill's writes the table of all posts on the way, and uses all cores. A
second, larger file shows the peak memory of all of Facemill's processes together. The last line is JSON: `vs_pandas`,
how many times faster, and `peak_gb`.
"""

import contextlib
import itertools
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from multiprocessing import Process
from pathlib import Path

import psutil

SETTINGS = {
    "ratings": ["s"],
    "min_score": 5,
    "min_size": 512,
    "tags_all": ["solo"],
    "tags_none": ["lying", "from_side"],
}


def main(posts: int = 100_000, large: int = 1_000_000, rounds: int = 3) -> None:
    """Times both sides in turns, and measures the peak memory of Facemill on the larger file."""
    with tempfile.TemporaryDirectory() as folder:
        small, big = Path(folder, "posts.jsonl"), Path(folder, "large.jsonl")
        generate(small, posts)
        size = small.stat().st_size
        print(f"{posts} posts, {size / 1e6:.0f} MB, {size / posts:.0f} bytes a post, {os.cpu_count()} cores")
        times: dict[str, list[float]] = {"pandas": [], "facemill": []}
        selected: dict[str, int] = {}
        for name in ["pandas", "facemill"] * rounds:
            start = time.perf_counter()
            command = [sys.executable, __file__, name, str(small), str(posts), folder]
            selected[name] = int(subprocess.check_output(command))
            times[name].append(time.perf_counter() - start)
        assert selected["pandas"] == selected["facemill"], selected
        ratio = statistics.median(p / f for p, f in zip(*times.values(), strict=True))
        for name, seconds in times.items():
            print(f"{name:10} {statistics.median(seconds):8.2f} s {size / statistics.median(seconds) / 1e6:8.0f} MB/s")
        print(f"{ratio:.1f} times as fast; {selected['facemill']} posts selected by both")
        small.unlink()
        generate(big, large)
        peak, seconds = measure([sys.executable, __file__, "facemill", str(big), str(large), folder])
        print(f"{large} posts, {big.stat().st_size / 1e9:.2f} GB: {seconds:.1f} s, peak {peak / 1e9:.2f} GB")
    print(json.dumps({"vs_pandas": round(ratio, 1), "peak_gb": round(peak / 1e9, 2)}))


def measure(command: list[str]) -> tuple[int, float]:
    """The largest sum of the proportional memory of a process and its children, in bytes, and its seconds."""
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    family = psutil.Process(process.pid)
    while process.poll() is None:
        total = 0
        for member in [family, *_children(family)]:
            with contextlib.suppress(psutil.Error):
                total += member.memory_full_info().pss
        peak = max(peak, total)
        time.sleep(0.05)
    assert process.returncode == 0
    return peak, time.perf_counter() - start


def _children(family: psutil.Process) -> list[psutil.Process]:
    try:
        return family.children(recursive=True)
    except psutil.Error:
        return []


def generate(path: Path, posts: int) -> None:
    """Writes posts as the 2021 dump has them: 12 to 52 tags, up to 25 favorites, some 2.5 kB."""
    parts = [Path(f"{path}.{part}") for part in range(os.cpu_count() or 1)]
    bounds = [posts * part // len(parts) for part in range(len(parts) + 1)]
    jobs = [
        Process(target=_generate, args=(part, *ends))
        for part, ends in zip(parts, itertools.pairwise(bounds), strict=True)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    with path.open("wb") as out:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, out)
            part.unlink()


def _generate(path: Path, first: int, last: int) -> None:
    words = ["hair", "eyes", "long_sleeves", "dress", "flower", "looking_at_viewer", "school_uniform"]
    rng = random.Random(1)
    names = [f"{rng.choice(words)}_{i}" for i in range(50_000)]
    weights = list(itertools.accumulate((i + 10) ** -1.2 for i in range(len(names))))
    numbers = {name: zlib.crc32(name.encode()) for name in [*names, "solo", "1girl", "lying", "from_side"]}
    texts = {
        name: f'{{"id":"{number % 1_000_000}","name":"{name}","category":"{"00000000000001345"[number % 17]}"}}'
        for name, number in numbers.items()
    }
    rng = random.Random(first)
    with path.open("w") as out:
        for i in range(first, last):
            tags = {*rng.choices(names, cum_weights=weights, k=rng.randint(10, 50)), "1girl"}
            for name, share in (("solo", 0.7), ("lying", 0.03), ("from_side", 0.03)):
                tags.update([name] * (rng.random() < share))
            dates = "1970-01-01 00:00:00 UTC"
            post = {
                "id": str(i * 5 + 1),
                "created_at": f"20{rng.randint(10, 20)}-06-10 03:08:07.34205 UTC",
                "uploader_id": "65792",
                "score": str(rng.randint(-3, 40)),
                "source": f"https://i.pximg.net/img-original/img/2020/07/26/{rng.getrandbits(26)}_p0.png",
                "md5": f"{rng.getrandbits(128):032x}",
                **{"last_commented_at": dates, "rating": rng.choice("sssqe")},
                **{"image_width": str(rng.randint(300, 3000)), "image_height": str(rng.randint(300, 3000))},
                **{"is_note_locked": False, "file_ext": "jpg", "last_noted_at": dates, "is_rating_locked": False},
                **{"parent_id": "0", "has_children": False, "approver_id": "1309"},
                **{"file_size": str(rng.getrandbits(21)), "is_status_locked": False, "up_score": "1"},
                **{"down_score": "0", "is_pending": False, "is_flagged": False, "is_deleted": False},
                **{"updated_at": "2016-04-23 14:32:09.52181 UTC", "is_banned": False, "pixiv_id": "0"},
            }
            listed = ",".join(texts[tag] for tag in sorted(tags))
            favs = json.dumps([str(rng.getrandbits(19)) for _ in range(rng.randint(0, 25))], separators=(",", ":"))
            text = json.dumps(post, separators=(",", ":"))[:-1]
            out.write(f'{text},"tags":[{listed}],"pools":[],"favs":{favs}}}\n')


def run_pandas(metadata: Path, folder: Path) -> int:
    import pandas as pd

    posts = pd.read_json(metadata, lines=True)
    tags = posts["tags"].map(lambda row: {tag["name"] for tag in row})
    selected = posts[
        posts["rating"].isin(SETTINGS["ratings"])
        & (posts["score"] >= SETTINGS["min_score"])
        & (posts[["image_width", "image_height"]].min(axis=1) >= SETTINGS["min_size"])
        & tags.map(lambda row: row.issuperset(SETTINGS["tags_all"]) and row.isdisjoint(SETTINGS["tags_none"]))
    ]
    selected.drop(columns=["pools"]).to_parquet(folder / "pandas.parquet")
    return len(selected)


def run_facemill(metadata: Path, posts: int, folder: Path) -> int:
    import polars as pl

    from facemill.config.ingest import FilterConfig
    from facemill.ingest.danbooru import read_danbooru
    from facemill.ingest.filter_posts import select
    from facemill.ingest.posts import Collection
    from facemill.ingest.selected import write_selected

    ids = pl.Series("id", range(1, posts * 5 + 1, 5)).cast(pl.String)
    images = pl.DataFrame({"id": ids, "path": ids + ".jpg"}).with_columns(
        offset=pl.lit(None, pl.Int64), length=pl.lit(None, pl.Int64), name="path"
    )
    table = folder / "posts.parquet"
    with Collection(table, folder / "rejects.parquet") as collection:
        read_danbooru([metadata], images, collection, 0, os.cpu_count() or 1)
    selected, _ = select(table, FilterConfig(**SETTINGS), 1)
    write_selected(selected.to_arrow(), 64, folder / "selected.parquet")
    return len(selected)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["pandas", metadata, _, folder]:
            print(run_pandas(Path(metadata), Path(folder)))
        case ["facemill", metadata, count, folder]:
            print(run_facemill(Path(metadata), int(count), Path(folder)))
        case _:
            import cyclopts

            cyclopts.run(main)
