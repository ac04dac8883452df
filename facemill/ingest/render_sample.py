"""The embedded sample: drawn portraits, written as a Danbooru2021 dump with labelme files, so that they enter by the
same door as the real thing.

Some posts are made for the filter to remove, and a few are faulty, as in every real collection.
"""

import datetime
import hashlib
import json
import random
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from facemill.data.shards import encode_mask
from facemill.errors import UserError
from facemill.files import write_json
from facemill.imaging.polygons import as_labelme, polygons
from facemill.ingest.drawing import CLASS_OF_PART, FINE_LABELS, draw

_LABELS = list(FINE_LABELS.values())
_BROKEN_LINE_FROM = 200  # posts, so that one broken line stays well under the share at which ingestion stops


def choose_ids(portraits: int, labelled: int, seed: int) -> tuple[list[int], set[int], dict[int, str]]:
    """The ids of a sample: all, sorted; those with labelme files; and the faulty ones with their fault.

    Labelled are only portraits without an oddity. Raises `UserError` when there are fewer of them than asked for.
    """
    rng = random.Random(f"ids:{seed}")
    ids = sorted(rng.sample(range(100_000, 5_000_000), portraits))
    plain = [id for id in ids if not oddity(id, seed)]
    if labelled > len(plain):
        raise UserError(f"sample.labelled: found {labelled}; accepted: up to {len(plain)} of {portraits} portraits")
    chosen = set(rng.sample(plain, labelled))
    others = [id for id in plain if id not in chosen]
    faults = ["truncated image", "missing image"] + ["broken line"] * (portraits >= _BROKEN_LINE_FROM)
    return ids, chosen, dict(zip(rng.sample(others, min(len(faults), len(others))), faults, strict=False))


def oddity(id: int, seed: int) -> str | None:
    """What makes one post in nine unfit for portraits, None for the others."""
    rng = random.Random(f"post:{seed}:{id}")
    kinds = ["q", "e", "low score", "small", "not solo", "lying", "from_side"]
    return rng.choices(kinds, [3, 1, 3, 2, 2, 1, 2])[0] if rng.random() < 0.11 else None


def _post(id: int, seed: int, png: bytes, width: int, tags: list[str]) -> dict:
    """A line of the dump: numbers as strings, `favs` as a list of user ids."""
    rng, odd = random.Random(f"line:{seed}:{id}"), oddity(id, seed)
    day = datetime.datetime(2005, 5, 24) + datetime.timedelta(days=id / 5_000_000 * 6050, seconds=rng.randrange(86400))
    date = f"{day:%Y-%m-%d %H:%M:%S}.{rng.randrange(10**5):05} UTC"
    score = -rng.randint(1, 9) if odd == "low score" else round(rng.lognormvariate(1.5, 1))
    down = rng.randrange(3)
    extra = {"not solo": ["multiple_views"], "lying": ["lying", "solo"], "from_side": ["from_side", "solo"]}
    names = sorted({*tags, *extra.get(odd, ["solo"])})
    return {
        "id": str(id),
        "created_at": date,
        "uploader_id": str(rng.randrange(1, 900_000)),
        "score": str(score),
        "source": "",
        "md5": hashlib.md5(png).hexdigest(),
        "last_commented_at": "1970-01-01 00:00:00 UTC",
        "rating": odd if odd in ("q", "e") else "s",
        "image_width": str(width),
        "image_height": str(width),
        "is_note_locked": False,
        "file_ext": "png",
        "last_noted_at": "1970-01-01 00:00:00 UTC",
        "is_rating_locked": False,
        "parent_id": "0",
        "has_children": False,
        "approver_id": "0",
        "file_size": str(len(png)),
        "is_status_locked": False,
        "up_score": str(max(score + down, 0)),
        "down_score": str(down),
        "is_pending": False,
        "is_flagged": False,
        "is_deleted": False,
        "updated_at": date,
        "is_banned": False,
        "pixiv_id": "0",
        "tags": [{"id": str(zlib.crc32(t.encode()) % 10**6), "name": t, "category": "0"} for t in names],
        "pools": [],
        "favs": [str(user) for user in rng.sample(range(1, 900_000), max(0, round(score * rng.uniform(0.8, 2))))],
    }


def outline(parts: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Labels and polygons, int32 (N, 2) of (x, y), that rebuild a drawing of part ids, uint8 (H, W)."""
    return [(_LABELS[part], points) for part, points in polygons(parts)]


def render(folder: Path, portraits: int, labelled: int, size: int, seed: int) -> Iterator[int]:
    """Renders a sample into a new folder; yields each id when it is done.

    Images are 2 `size` wide and high (a few posts are smaller on purpose). The folder holds

    - `metadata.jsonl`: one line a post, in the form of the Danbooru2021 dump;
    - `images/0123/456123.png`: the images, in Danbooru's buckets, id modulo 1000;
    - `labelled/456123.png` and `.json`: some of them again, with labelme files in fine labels;
    - `truth/456123.png`: the exact palette masks of all, for measuring only.
    """
    ids, chosen, faults = choose_ids(portraits, labelled, seed)
    for name in ("images", "labelled", "truth"):
        (folder / name).mkdir(parents=True)
    with (folder / "metadata.jsonl").open("w") as metadata:
        for id in ids:
            drawing, fault = draw(id, seed), faults.get(id)
            width = 2 * size if oddity(id, seed) != "small" else 2 * size * (50 + id % 45) // 100
            png, parts = drawing.image(width), drawing.part_ids(width)
            line = json.dumps(_post(id, seed, png, width, drawing.tags), separators=(",", ":"))
            metadata.write((line[: len(line) // 2] if fault == "broken line" else line) + "\n")
            (folder / f"truth/{id}.png").write_bytes(encode_mask(CLASS_OF_PART[parts]))
            if fault != "missing image":
                bucket = folder / f"images/{id % 1000:04}"
                bucket.mkdir(exist_ok=True)
                (bucket / f"{id}.png").write_bytes(png[: len(png) // 2] if fault == "truncated image" else png)
            if id in chosen:
                (folder / f"labelled/{id}.png").write_bytes(png)
                write_json(folder / f"labelled/{id}.json", as_labelme(f"{id}.png", parts.shape, outline(parts)))
            yield id


def replace_folder(new: Path, old: Path) -> None:
    """Moves a finished folder to its place, where an earlier one may be."""
    if old.exists():
        shutil.rmtree(old)
    new.rename(old)
