"""Which posts are kept: one rule after another, and how many each of them removes."""

import datetime
import textwrap
from pathlib import Path

import polars as pl

from facemill import figures
from facemill.config import Filter
from facemill.splits import fraction


def rules(settings: Filter) -> dict[str, pl.Expr]:
    """The rules that are set, by a name for people, in the order they apply; each is true for posts to keep.

    A post that does not say what a rule asks for (null) is not kept.
    """
    tags, size, date = pl.col("tags"), pl.min_horizontal("width", "height"), pl.col("created_at")
    found: dict[str, pl.Expr] = {}
    if settings.ratings:
        found[f"rating is {' or '.join(settings.ratings)}"] = pl.col("rating").is_in(settings.ratings)
    if settings.min_score is not None:
        found[f"score >= {settings.min_score}"] = pl.col("score") >= settings.min_score
    if settings.min_favourites is not None:
        found[f"favourites >= {settings.min_favourites}"] = pl.col("fav_count") >= settings.min_favourites
    if settings.min_size is not None:
        found[f"size >= {settings.min_size}"] = size >= settings.min_size
    if settings.created_after:
        found[f"created from {settings.created_after}"] = date >= _day(settings.created_after)
    if settings.created_before:
        found[f"created before {settings.created_before}"] = date < _day(settings.created_before)
    for tag in settings.tags_all:
        found[f"has {tag}"] = tags.list.contains(tag)
    if any_of := settings.tags_any:
        more = f" or {len(any_of) - 3} more" if len(any_of) > 3 else ""
        found[f"has {' or '.join(any_of[:3])}{more}"] = pl.any_horizontal(tags.list.contains(tag) for tag in any_of)
    for tag in settings.tags_none:
        found[f"has no {tag}"] = ~tags.list.contains(tag)
    return {name: rule.fill_null(False) for name, rule in found.items()}


def _day(date: str) -> pl.Expr:
    """Midnight of a day, UTC."""
    day = datetime.datetime.fromisoformat(date).replace(tzinfo=datetime.UTC)
    return pl.lit(day, pl.Datetime("us", "UTC"))


def select(posts: pl.DataFrame, settings: Filter, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The posts that all rules keep, in their order, and the funnel.

    The funnel has a row for each rule: `rule`, `removed_alone` (of all posts), `removed_in_order` (of those that the
    rules before had left) and `left`; its first row, `all posts`, removes none. `limit` is the last rule: it draws
    with the seed, each post by its id, so that a post more or less changes little.
    """
    funnel = [("all posts", 0, 0, len(posts))]
    kept = posts
    for name, rule in rules(settings).items():
        alone, before, kept = len(posts.filter(~rule)), len(kept), kept.filter(rule)
        funnel.append((name, alone, before - len(kept), len(kept)))
    if settings.limit is not None:
        drawn = sorted(kept["id"], key=lambda id: fraction(id, f"limit-{seed}"))[: settings.limit]
        alone, before, kept = max(len(posts) - settings.limit, 0), len(kept), kept.filter(pl.col("id").is_in(drawn))
        funnel.append((f"at most {settings.limit}", alone, before - len(kept), len(kept)))
    return kept, pl.DataFrame(funnel, ["rule", "removed_alone", "removed_in_order", "left"], orient="row")


def plot_funnel(funnel: pl.DataFrame, picture: Path) -> None:
    """Draws the funnel as a PNG: for each rule a bar of what it leaves and what it removes, and both as numbers."""
    rows = funnel.to_dicts()
    total, last = max(rows[0]["left"], 1), len(rows) - 1
    names = [textwrap.fill(row["rule"], 32) for row in rows]
    counts = [f"{row['left']:>9,} {-row['removed_in_order']:>10,}" for row in rows]
    with figures.plot(picture, 9, 1.6 + 0.4 * len(rows)) as (_, axes):
        colors = ["#9db6d6"] * last + ["#2f5d9b"]
        axes.barh(range(len(rows)), funnel["left"], color=colors, height=0.74)
        axes.barh(range(len(rows)), funnel["removed_in_order"], left=funnel["left"], color="#e0785c", height=0.74)
        axes.set_yticks(range(len(rows)), names)
        axes.set(xlim=(0, total), ylim=(last + 0.6, -1), xlabel="posts")
        axes.set_title(f"{rows[-1]['left']:,} of {total:,} posts selected", loc="left", pad=14)
        numbers = axes.secondary_yaxis("right")
        header = f"{'left':>9} {'removed':>10}"
        numbers.set_yticks(range(-1, len(rows)), [header, *counts], family="monospace")
        numbers.spines["right"].set_visible(False)
        for side in (axes, numbers):
            side.tick_params(axis="y", length=0)
