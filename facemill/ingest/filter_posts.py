"""Which posts are kept: one rule after another, and how many each of them removes."""

import datetime
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facemill.config.ingest import FilterConfig
from facemill.data.shards import open_shard
from facemill.data.splits import hash_fraction
from facemill.imaging import figures
from facemill.ingest.posts import TAG_COLUMNS


def rules(settings: FilterConfig, newest: datetime.datetime | None = None) -> dict[str, pl.Expr]:
    """The rules that are set, by a name for people, in the order they apply; each is true for posts to keep.

    Tags are columns of their own, `has <tag>`, as `_with_tags` adds them. A post that does not say what a rule asks for
    (null) is not kept. `newest` is the date of the collection's newest post.
    """
    size, date = pl.min_horizontal("width", "height"), pl.col("created_at")
    aspect = pl.col("height") / pl.col("width")
    found: dict[str, pl.Expr] = {}
    if settings.ratings:
        found[f"rating is {' or '.join(settings.ratings)}"] = pl.col("rating").is_in(settings.ratings)
    if settings.min_score is not None:
        found[f"score >= {settings.min_score}"] = pl.col("score") >= settings.min_score
    if settings.min_favorites is not None:
        found[f"favorites >= {settings.min_favorites}"] = pl.col("fav_count") >= settings.min_favorites
    if settings.min_size is not None:
        found[f"size >= {settings.min_size}"] = size >= settings.min_size
    if settings.min_aspect is not None:
        found[f"height >= {settings.min_aspect:g} x width"] = aspect >= settings.min_aspect
    if settings.max_aspect is not None:
        found[f"height <= {settings.max_aspect:g} x width"] = aspect <= settings.max_aspect
    if settings.max_age is not None:
        oldest = newest - datetime.timedelta(days=settings.max_age) if newest else None
        found[f"at most {settings.max_age} days older than the newest"] = date >= pl.lit(
            oldest, pl.Datetime("us", "UTC")
        )
    if settings.created_after:
        found[f"created from {settings.created_after}"] = date >= _day(settings.created_after)
    if settings.created_before:
        found[f"created before {settings.created_before}"] = date < _day(settings.created_before)
    for tag in settings.tags_all:
        found[f"has {tag}"] = pl.col(f"has {tag}")
    if any_of := settings.tags_any:
        more = f" or {len(any_of) - 3} more" if len(any_of) > 3 else ""
        found[f"has {' or '.join(any_of[:3])}{more}"] = pl.any_horizontal(f"has {tag}" for tag in any_of)
    for tag in settings.tags_none:
        found[f"has no {tag}"] = ~pl.col(f"has {tag}")
    return {name: rule.fill_null(False) for name, rule in found.items()}


def _day(date: str) -> pl.Expr:
    """Midnight of a day, UTC."""
    day = datetime.datetime.fromisoformat(date).replace(tzinfo=datetime.UTC)
    return pl.lit(day, pl.Datetime("us", "UTC"))


def _matches(names: pa.Array, tag: str) -> np.ndarray:
    """Which of the names a tag of the filter means; `*` stands for any letters or none."""
    if "*" in tag:
        pattern = "^" + ".*".join(map(re.escape, tag.split("*"))) + "$"
        found = pc.match_substring_regex(names, pattern)
    else:
        found = pc.equal(names, tag)
    return found.to_numpy(zero_copy_only=False)


def _judged(posts: pa.Table, tags: Sequence[str]) -> pl.DataFrame:
    """What the rules look at: plain columns, and a boolean column `has <tag>` for each tag of the filter."""
    has = np.zeros((len(tags), len(posts)), bool)
    for column in TAG_COLUMNS if tags else ():
        lists = posts[column].combine_chunks()
        names, codes = lists.values.dictionary, lists.values.indices.to_numpy()
        matches = np.array([_matches(names, tag) for tag in tags])
        where = np.flatnonzero(matches.any(0)[codes])  # most tags are named by no rule
        rows = np.searchsorted(lists.offsets.to_numpy(), where, "right") - 1
        for tag in range(len(tags)):
            has[tag, rows[matches[tag, codes[where]]]] = True
    plain = pl.from_arrow(posts.select(["rating", "score", "fav_count", "width", "height", "created_at"]))
    return plain.with_columns(pl.Series(f"has {tag}", row) for tag, row in zip(tags, has, strict=True))


def select(posts: Path, settings: FilterConfig, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The posts of a table that all rules keep, in their order, `tags` in one column; and the funnel.

    The funnel has a row for each rule: `rule`, `removed_alone` (of all posts), `removed_in_order` (of those that the
    rules before had left) and `left`; its first row, `all posts`, removes none. `limit` is the last rule: it draws
    with the seed, each post by its id, so that a post more or less changes little. Of the posts that are not kept one
    row group is in memory at a time.
    """
    with open_shard(posts):
        file = pq.ParquetFile(posts, read_dictionary=[f"{column}.list.element" for column in TAG_COLUMNS])
    tags = list(dict.fromkeys([*settings.tags_all, *settings.tags_any, *settings.tags_none]))
    applied = rules(settings, _newest(posts) if settings.max_age else None)
    alone, in_order, total, frames = np.zeros(len(applied), int), np.zeros(len(applied), int), 0, []
    for number in range(file.num_row_groups):
        group = file.read_row_group(number)
        judged = _judged(group, tags).select(rule.alias(name) for name, rule in applied.items())
        passed = judged.to_numpy() if applied else np.ones((len(group), 0), bool)
        left = np.logical_and.accumulate(passed, axis=1)
        total += len(group)
        alone += (~passed).sum(0)
        in_order += (~left).sum(0)
        frames.append(_kept(group, left[:, -1] if applied else np.ones(len(group), bool)))
    kept = pl.concat(frames) if frames else pl.read_parquet(posts).with_columns(tags=pl.lit([], pl.List(pl.String)))
    counts = zip(
        applied, alone.tolist(), np.diff(in_order, prepend=0).tolist(), (total - in_order).tolist(), strict=True
    )
    funnel = [("all posts", 0, 0, total), *counts]
    if settings.limit is not None:
        drawn = sorted(kept["id"], key=lambda id: hash_fraction(id, f"limit-{seed}"))[: settings.limit]
        removed, kept = max(len(kept) - settings.limit, 0), kept.filter(pl.col("id").is_in(drawn))
        funnel.append((f"at most {settings.limit}", max(total - settings.limit, 0), removed, len(kept)))
    return kept, pl.DataFrame(funnel, ["rule", "removed_alone", "removed_in_order", "left"], orient="row")


def _kept(group: pa.Table, keep: np.ndarray) -> pl.DataFrame:
    chosen = pl.from_arrow(group.filter(pa.array(keep)))
    tags = pl.concat_list(pl.col(column).cast(pl.List(pl.String)) for column in TAG_COLUMNS)
    return chosen.select(pl.exclude(TAG_COLUMNS), tags.alias("tags"))


def _newest(posts: Path) -> datetime.datetime | None:
    return pl.scan_parquet(posts).select(pl.col("created_at").max()).collect().item()


def plot_funnel(funnel: pl.DataFrame, picture: Path) -> None:
    """Draws the funnel as a PNG: for each rule a bar of what it leaves and what it removes, and as numbers what it
    leaves, removes in order, and removes alone."""
    rows = funnel.to_dicts()
    total, last = max(rows[0]["left"], 1), len(rows) - 1
    names = [textwrap.fill(row["rule"], 32) for row in rows]
    counts = [f"{row['left']:>9,} {-row['removed_in_order']:>10,} {-row['removed_alone']:>10,}" for row in rows]
    with figures.plot(picture, 10, 1.6 + 0.4 * len(rows)) as (_, axes):
        colors = ["#9db6d6"] * last + ["#2f5d9b"]
        axes.barh(range(len(rows)), funnel["left"], color=colors, height=0.74)
        axes.barh(range(len(rows)), funnel["removed_in_order"], left=funnel["left"], color="#e0785c", height=0.74)
        axes.set_yticks(range(len(rows)), names)
        axes.set(xlim=(0, total), ylim=(last + 0.6, -1), xlabel="posts")
        axes.set_title(f"{rows[-1]['left']:,} of {total:,} posts selected", loc="left", pad=14)
        numbers = axes.secondary_yaxis("right")
        header = f"{'left':>9} {'removed':>10} {'alone':>10}"
        numbers.set_yticks(range(-1, len(rows)), [header, *counts], family="monospace")
        numbers.spines["right"].set_visible(False)
        for side in (axes, numbers):
            side.tick_params(axis="y", length=0)
