"""Metadata to the filtered table, against `pandas.read_json(lines=True)` and the same filter, in one run.

    python benchmarks/metadata.py [--posts 1000000] [--rounds 3]

Posts of realistic length are generated in the form of the Danbooru2021 dump. Both sides start as new processes and end
with the selected posts in a Parquet file; Facemill's writes the table of all posts on the way, and uses all cores.
pandas reads 100,000 posts at a time, which take 3 GB. The last line is JSON: `vs_pandas`, how many times faster, and
`peak_gb`.
"""

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
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

SETTINGS = {
    "ratings": ["s"],
    "min_score": 5,
    "min_size": 512,
    "tags_all": ["solo"],
    "tags_none": ["lying", "from_side"],
}


def main(posts: int = 1_000_000, rounds: int = 3) -> None:
    """Times both sides in turns on one file, with the peak memory of each."""
    runs: dict[str, list[Run]] = {"pandas": [], "facemill": []}
    with tempfile.TemporaryDirectory() as folder:
        metadata = Path(folder, "posts.jsonl")
        generate(metadata, posts)
        size = metadata.stat().st_size
        print(f"{posts} posts, {size / 1e6:.0f} MB, {size / posts:.0f} bytes a post, {os.cpu_count()} cores")
        for name in ["pandas", "facemill"] * rounds:
            runs[name].append(measure([sys.executable, __file__, name, str(metadata), str(posts), folder]))
    selected = {run.selected for both in runs.values() for run in both}
    assert len(selected) == 1, runs
    for name, mine in runs.items():
        seconds, cpu, peak = (statistics.median(column) for column in list(zip(*mine, strict=True))[:3])
        rate = size / seconds / 1e6
        print(f"{name:10} {seconds:8.2f} s {rate:8.0f} MB/s {cpu:8.2f} s of processors {peak / 1e9:8.2f} GB")
    ratio = statistics.median(p.seconds / f.seconds for p, f in zip(*runs.values(), strict=True))
    print(f"{ratio:.1f} times as fast; {selected.pop()} posts selected by both")
    peak = max(run.peak for run in runs["facemill"])
    print(json.dumps({"vs_pandas": round(ratio, 1), "peak_gb": round(peak / 1e9, 2)}))


class Run(NamedTuple):
    """What a process took."""

    seconds: float
    """From its start to its end."""
    processors: float
    """Seconds of all processors together."""
    peak: int
    """The most memory, bytes."""
    selected: int
    """What it printed: the number of selected posts."""


def measure(command: list[str]) -> Run:
    """Runs a command that has no further processes."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    seconds = time.perf_counter() - start
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10, int(output))


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

    selected = pd.concat(select_with_pandas(part) for part in pd.read_json(metadata, lines=True, chunksize=100_000))
    selected.drop(columns=["pools"]).to_parquet(folder / "pandas.parquet")
    return len(selected)


def select_with_pandas(posts: "pd.DataFrame") -> "pd.DataFrame":
    """The posts that meet the settings."""
    tags = posts["tags"].map(lambda row: {tag["name"] for tag in row})
    return posts[
        posts["rating"].isin(SETTINGS["ratings"])
        & (posts["score"] >= SETTINGS["min_score"])
        & (posts[["image_width", "image_height"]].min(axis=1) >= SETTINGS["min_size"])
        & tags.map(lambda row: row.issuperset(SETTINGS["tags_all"]) and row.isdisjoint(SETTINGS["tags_none"]))
    ]


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
