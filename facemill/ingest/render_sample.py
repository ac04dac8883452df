"""The embedded sample: synthetic portraits as a Danbooru2021 dump with labelme files, read like a real collection.

The filter removes some posts, and a few are faulty, as in every real collection.
"""

import datetime
import hashlib
import json
import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from facemill.config.ingest import SampleConfig
from facemill.config.label import LabelsConfig
from facemill.data.classes import ClassTable
from facemill.data.labelme import as_labelme
from facemill.data.shards import encode_mask, write_shard
from facemill.errors import UserError
from facemill.files import atomic_folder, atomic_write, sha256, write_json
from facemill.imaging.polygons import polygons, rasterize, regions
from facemill.ingest.drawing import draw
from facemill.ingest.toon_head import COMPONENT_IDS, LABELS
from facemill.log import progress

VARIANTS = ("eyes", "eyebrows", "mouth", "hair", "rearHair", "beard", "clothes")
"""The components of the style that have variants, columns of `truth/variants.parquet`."""

_LABELS = list(LABELS.values())
_MIN_POSTS_FOR_BROKEN_LINE = 200  # so that one broken line stays well below the share at which ingestion stops


def render_sample(
    *,
    settings: SampleConfig,
    size: int,
    seed: int,
    classes: ClassTable,
    labels: LabelsConfig,
    source: Path,
    checksums: Path,
) -> None:
    """Renders portraits with their exact masks, as a Danbooru dump with labelme files.

    Args:
        settings: section `sample` of the config.
        size: width and height of portraits; original images are twice as large.
        seed: another seed gives other portraits.
        classes: the class table of the masks.
        labels: section `labels` of the config, which merges labels into classes.
        source: the folder to write; an earlier one is replaced.
        checksums: SHA-256 of every file in it, in the form of `sha256sum`.
    """
    with atomic_folder(source) as folder:
        render(folder, settings, size, seed, classes, labels)
    files = sorted(path for path in source.rglob("*") if path.is_file())
    with atomic_write(checksums) as tmp:
        tmp.write_text("".join(f"{sha256(path)}  {path.relative_to(source)}\n" for path in files))


def part_class_ids(classes: ClassTable, labels: LabelsConfig) -> np.ndarray:
    """The class id of each part id, uint8 (parts,); `IGNORE` for labels that the config ignores.

    Raises `UserError` when the config merges the label of a part into no class.
    """
    ids = labels.label_ids(classes)
    if missing := [label for label in _LABELS if label not in ids]:
        raise UserError(
            f"labels.merge: {missing[0]!r} is in no class; accepted: each of {', '.join(dict.fromkeys(_LABELS))}"
        )
    return np.array([ids[label] for label in _LABELS], np.uint8)


def choose_ids(portraits: int, labelled: int, seed: int) -> tuple[list[int], set[int], dict[int, str]]:
    """The ids of a sample: all of them, sorted; those with labelme files; the faulty ones, each with its fault.

    Labelled portraits have no oddity. Raises `UserError` when there are fewer of these than `labelled`.
    """
    rng = random.Random(f"ids:{seed}")
    ids = sorted(rng.sample(range(100_000, 5_000_000), portraits))
    plain = [post_id for post_id in ids if not oddity(post_id, seed)]
    if labelled > len(plain):
        raise UserError(f"sample.labelled: found {labelled}; accepted: up to {len(plain)} of {portraits} portraits")
    chosen = set(rng.sample(plain, labelled))
    others = [post_id for post_id in plain if post_id not in chosen]
    faults = ["truncated image", "missing image"] + ["broken line"] * (portraits >= _MIN_POSTS_FOR_BROKEN_LINE)
    return ids, chosen, dict(zip(rng.sample(others, min(len(faults), len(others))), faults, strict=False))


def oddity(post_id: int, seed: int) -> str | None:
    """The reason for which the filter removes a post, one in nine; None for the others."""
    rng = random.Random(f"post:{seed}:{post_id}")
    kinds = ["q", "e", "low score", "small", "not solo", "lying", "from_side"]
    return rng.choices(kinds, [3, 1, 3, 2, 2, 1, 2])[0] if rng.random() < 0.11 else None


def _post(post_id: int, seed: int, png: bytes, width: int, tags: list[str]) -> dict:
    """A line of the dump: numbers as strings, `favs` as a list of user ids."""
    rng, odd = random.Random(f"line:{seed}:{post_id}"), oddity(post_id, seed)
    age = datetime.timedelta(days=post_id / 5_000_000 * 6050, seconds=rng.randrange(86400))
    day = datetime.datetime(2005, 5, 24) + age
    date = f"{day:%Y-%m-%d %H:%M:%S}.{rng.randrange(10**5):05} UTC"
    score = -rng.randint(1, 9) if odd == "low score" else round(rng.lognormvariate(1.5, 1))
    down = rng.randrange(3)
    extra = {"not solo": ["multiple_views"], "lying": ["lying", "solo"], "from_side": ["from_side", "solo"]}
    names = sorted({*tags, *extra.get(odd or "", ["solo"])})
    return {
        "id": str(post_id),
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
    """The polygons of a map of parts, later ones over earlier ones, as a person would draw them.

    Outlines of components are simplified; details lie on them with exact outlines, so that they change no component.

    Args:
        parts: part ids, uint8 (H, W).

    Returns:
        Pairs of a label and its vertices, int32 (N, 2) of (x, y).
    """
    coarse = polygons(COMPONENT_IDS[parts])
    rasterized = np.zeros_like(parts)
    for component, points in coarse:
        rasterized[rasterize(points, parts.shape) > 0] = component
    detailed = np.where(COMPONENT_IDS[parts] == rasterized, parts, rasterized)
    return [(_LABELS[part], points) for part, points in [*coarse, *_details(detailed)]]


def _details(parts: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The exact polygons of the details in a map of parts, and of what lies in their holes; the largest first."""
    covered = np.zeros(parts.shape, bool)
    for region in sorted(regions(parts), key=lambda region: -int(region.filled.sum())):
        x, y = region.outline[0] + (region.left, region.top)
        if COMPONENT_IDS[region.value] != region.value or covered[y, x]:
            height, width = region.filled.shape
            covered[region.top : region.top + height, region.left : region.left + width] |= region.filled > 0
            yield region.value, region.simplify(0) + np.array([region.left, region.top], np.int32)


def render(
    folder: Path, settings: SampleConfig, size: int, seed: int, classes: ClassTable, labels: LabelsConfig
) -> None:
    """Renders a sample into an empty folder; the arguments are those of `render_sample`.

    The files are
    - `metadata.jsonl`: a line a post, in the form of the Danbooru2021 dump;
    - `images/0123/456123.png`: the images, in Danbooru's buckets, id modulo 1000; a few are smaller on purpose;
    - `labelled/456123.png` and `.json`: copies of some of them, with labelme files;
    - `truth/456123.png`: the exact masks of all, for evaluation only;
    - `truth/variants.parquet`: the variant of each of their parts, for evaluation only.
    """
    ids = part_class_ids(classes, labels)
    post_ids, chosen, faults = choose_ids(settings.portraits, settings.labelled, seed)
    for name in ("images", "labelled", "truth"):
        (folder / name).mkdir(parents=True)
    variants = []
    with (folder / "metadata.jsonl").open("w") as metadata:
        for post_id in progress(post_ids, "rendering", len(post_ids), "portraits"):
            drawing, fault = draw(post_id, seed), faults.get(post_id)
            variants.append({"id": str(post_id)} | {name: drawing.variants[name] for name in VARIANTS})
            width = 2 * size if oddity(post_id, seed) != "small" else 2 * size * (50 + post_id % 45) // 100
            png, parts = drawing.image(width), drawing.part_ids(width)
            line = json.dumps(_post(post_id, seed, png, width, drawing.tags), separators=(",", ":"))
            metadata.write((line[: len(line) // 2] if fault == "broken line" else line) + "\n")
            (folder / f"truth/{post_id}.png").write_bytes(encode_mask(ids[parts], classes))
            if fault != "missing image":
                bucket = folder / f"images/{post_id % 1000:04}"
                bucket.mkdir(exist_ok=True)
                (bucket / f"{post_id}.png").write_bytes(png[: len(png) // 2] if fault == "truncated image" else png)
            if post_id in chosen:
                name = f"labelled/{post_id}"
                (folder / f"{name}.png").write_bytes(png)
                write_json(folder / f"{name}.json", as_labelme(f"{post_id}.png", (width, width), outline(parts)))
    schema = pa.schema([(name, pa.string()) for name in ("id", *VARIANTS)])
    write_shard(folder / "truth/variants.parquet", variants, schema)
