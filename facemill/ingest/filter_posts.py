"""The filter: rules that select posts, and a funnel of how many posts each rule removes."""

import datetime
import re
import textwrap
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from facemill.config.ingest import FilterConfig
from facemill.data.batching import map_ahead
from facemill.data.shards import Shard, read_table
from facemill.data.splits import hash_fraction
from facemill.errors import UserError
from facemill.files import atomic_write
from facemill.imaging import figures
from facemill.ingest.posts import TAG_COLUMNS
from facemill.ingest.selected import write_selected
from facemill.log import log


def filter_posts(
    *,
    posts: Path,
    settings: FilterConfig,
    seed: int,
    shards: int,
    selected: Path,
    funnel: Path,
    picture: Path,
) -> None:
    """Selects the posts that meet all rules of the filter, and shows how many each rule removes.

    Args:
        posts: the table of posts.
        settings: section `filter` of the config.
        seed: of the sample of posts, where the filter has a limit.
        shards: number of shards that the posts are divided into.
        selected: the selected posts, Parquet.
        funnel: the number of posts that each rule removes, alone and in order, CSV.
        picture: the funnel as a picture, PNG.
    """
    table, counts = select(posts, settings, seed)
    if table.is_empty():
        raise UserError(nothing_left(counts.head(-1) if settings.limit else counts))
    write_selected(table.to_arrow(), shards, selected)
    with atomic_write(funnel) as tmp:
        counts.write_csv(tmp)
    plot_funnel(counts, picture)
    log.info("%d of %d posts selected", len(table), counts["left"][0])


def nothing_left(funnel: pl.DataFrame) -> str:
    """Why a filter selects nothing: the criteria that alone remove most posts, from a funnel without the limit."""
    total, most = funnel["left"][0], int(funnel["removed_alone"].to_numpy().max())
    rules = funnel.filter(pl.col("removed_alone") == most)["rule"].to_list()
    alone = f"{', '.join(map(repr, rules))} alone {'remove' if len(rules) > 1 else 'removes'} {most}"
    return f"filter: none of {total} posts is left; {alone}; accepted: criteria that some posts meet"


def rules(settings: FilterConfig, newest: datetime.datetime | None = None) -> dict[str, pl.Expr]:
    """The rules of the filter by their titles, in the order they apply; each is true for posts to select.

    Tags are boolean columns `has <tag>`. A post without the value that a rule needs (null) is not selected.

    Args:
        settings: section `filter` of the config.
        newest: the date of the collection's newest post.
    """
    size, date = pl.min_horizontal("width", "height"), pl.col("created_at")
    aspect = pl.col("height") / pl.col("width")
    criteria: dict[str, pl.Expr] = {}
    if settings.ratings:
        criteria[f"rating is {' or '.join(settings.ratings)}"] = pl.col("rating").is_in(settings.ratings)
    if settings.min_score is not None:
        criteria[f"score >= {settings.min_score}"] = pl.col("score") >= settings.min_score
    if settings.min_favorites is not None:
        criteria[f"favorites >= {settings.min_favorites}"] = pl.col("fav_count") >= settings.min_favorites
    if settings.min_size is not None:
        criteria[f"size >= {settings.min_size}"] = size >= settings.min_size
    if settings.min_aspect is not None:
        criteria[f"height >= {settings.min_aspect:g} x width"] = aspect >= settings.min_aspect
    if settings.max_aspect is not None:
        criteria[f"height <= {settings.max_aspect:g} x width"] = aspect <= settings.max_aspect
    if settings.max_age is not None:
        oldest = newest - datetime.timedelta(days=settings.max_age) if newest else None
        criteria[f"at most {settings.max_age} days older than the newest"] = date >= pl.lit(
            oldest, pl.Datetime("us", "UTC")
        )
    if settings.created_after:
        criteria[f"created from {settings.created_after}"] = date >= _day(settings.created_after)
    if settings.created_before:
        criteria[f"created before {settings.created_before}"] = date < _day(settings.created_before)
    for tag in settings.tags_all:
        criteria[f"has {tag}"] = pl.col(f"has {tag}")
    if any_of := settings.tags_any:
        rest = f" or {len(any_of) - 3} more" if len(any_of) > 3 else ""
        criteria[f"has {' or '.join(any_of[:3])}{rest}"] = pl.any_horizontal(f"has {tag}" for tag in any_of)
    for tag in settings.tags_none:
        criteria[f"has no {tag}"] = ~pl.col(f"has {tag}")
    return {title: rule.fill_null(False) for title, rule in criteria.items()}


def _day(date: str) -> pl.Expr:
    """Midnight of a day, UTC."""
    day = datetime.datetime.fromisoformat(date).replace(tzinfo=datetime.UTC)
    return pl.lit(day, pl.Datetime("us", "UTC"))


def _matches(names: pa.Array, tag: str) -> np.ndarray:
    """Whether each name matches a tag of the filter, bool (names,); `*` stands for any letters or none."""
    if "*" in tag:
        pattern = "^" + ".*".join(map(re.escape, tag.split("*"))) + "$"
        matches = pc.match_substring_regex(names, pattern)
    else:
        matches = pc.equal(names, tag)
    return matches.to_numpy(zero_copy_only=False)


def _rule_columns(posts: pa.Table, tags: Sequence[str]) -> pl.DataFrame:
    """The columns that rules use: plain ones, and a boolean column `has <tag>` for each tag of the filter."""
    has_tag = np.zeros((len(tags), len(posts)), bool)
    for column in TAG_COLUMNS if tags else ():
        lists = posts[column].combine_chunks()
        names, codes = lists.values.dictionary, lists.values.indices.to_numpy()
        matches = np.array([_matches(names, tag) for tag in tags])  # bool (tags, names)
        positions = np.flatnonzero(np.logical_or.reduce(matches)[codes])  # most tags are named by no rule
        rows = np.searchsorted(lists.offsets.to_numpy(), positions, "right") - 1
        for tag in range(len(tags)):
            has_tag[tag, rows[matches[tag, codes[positions]]]] = True
    plain = pl.DataFrame(posts.select(["rating", "score", "fav_count", "width", "height", "created_at"]))
    return plain.with_columns(pl.Series(f"has {tag}", row) for tag, row in zip(tags, has_tag, strict=True))


def select(posts: Path, settings: FilterConfig, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Selects the posts that meet all rules.

    `limit` is the last rule. It samples by hashes of seed and id, so that an added post changes little. A row group of
    the table is in memory at a time, and the selected posts.

    Args:
        posts: the table of posts.
        settings: section `filter` of the config.
        seed: of the sample.

    Returns:
        The selected posts in their order, with all tags in one column `tags`; and the funnel, with a row for each rule:
        `rule`, `removed_alone` (of all posts), `removed_in_order` (of the posts that earlier rules left) and `left`.
        Its first row, `all posts`, removes none.
    """
    file = Shard(posts, [f"{column}.list.element" for column in TAG_COLUMNS])
    tags = list(dict.fromkeys([*settings.tags_all, *settings.tags_any, *settings.tags_none]))
    applied = rules(settings, _newest(posts) if settings.max_age else None)
    alone, in_order = np.zeros(len(applied), int), np.zeros(len(applied), int)
    total, frames = 0, []
    with ThreadPoolExecutor(1) as pool:
        for group in map_ahead(pool, file.read_row_group, range(file.num_row_groups)):
            results = _rule_columns(group, tags).select(rule.alias(title) for title, rule in applied.items())
            passed = results.to_numpy() if applied else np.ones((len(group), 0), bool)
            left = np.logical_and.accumulate(passed, axis=1)
            total += len(group)
            alone += (~passed).sum(0)
            in_order += (~left).sum(0)
            frames.append(_take(group, left[:, -1] if applied else np.ones(len(group), bool)))
    selected = pl.concat(frames) if frames else _take(file.read(), np.empty(0, bool))
    counts = zip(
        applied, alone.tolist(), np.diff(in_order, prepend=0).tolist(), (total - in_order).tolist(), strict=True
    )
    funnel = [("all posts", 0, 0, total), *counts]
    if settings.limit is not None:
        removed = max(len(selected) - settings.limit, 0)
        by_hash = sorted(selected["id"], key=lambda post_id: hash_fraction(post_id, f"limit-{seed}"))
        selected = selected.filter(pl.col("id").is_in(by_hash[: settings.limit]))
        funnel.append((f"at most {settings.limit}", max(total - settings.limit, 0), removed, len(selected)))
    return selected, pl.DataFrame(funnel, ["rule", "removed_alone", "removed_in_order", "left"], orient="row")


def _take(group: pa.Table, keep: np.ndarray) -> pl.DataFrame:
    """The rows of a group to keep, bool (rows,), with all tags in one column."""
    rows = pl.DataFrame(group.filter(pa.array(keep)))
    tags = pl.concat_list(pl.col(column).cast(pl.List(pl.String)) for column in TAG_COLUMNS)
    return rows.select(pl.exclude(TAG_COLUMNS), tags.alias("tags"))


def _newest(posts: Path) -> datetime.datetime | None:
    return pc.max(read_table(posts, ["created_at"])["created_at"]).as_py()


def plot_funnel(funnel: pl.DataFrame, picture: Path) -> None:
    """Plots the funnel as a PNG: bars and numbers of the posts that each rule leaves and removes."""
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
