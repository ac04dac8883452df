"""Comparison of the sources of tags: how often each name is assigned, and how far two sources agree."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from facemill.config.latent import TagsConfig
from facemill.data.shards import read_rows
from facemill.files import write_json
from facemill.latent.attributes import GROUPS
from facemill.latent.tag_sources import AssignedTags, group_names
from facemill.taggers.tagger import most_probable


def compare_tags(*, tags: list[Path], tags_config: TagsConfig, metrics: Path) -> None:
    """Counts the names of each exclusive group, and measures how far each two sources agree.

    Args:
        tags: shards of tags.
        tags_config: the sources of tags, and the names.
        metrics: the JSON to write.
    """
    columns = [*GROUPS, "tags", "tag_probabilities", "tag_sources"]
    write_json(metrics, agreement(read_rows(tags, columns), group_names(tags_config), tags_config.sources))


def agreement(
    rows: Iterable[Mapping], groups: Mapping[str, Sequence[str]], sources: Sequence[str]
) -> dict[str, dict[str, object]]:
    """Frequencies of the names in each exclusive group, and the agreement of each two sources.

    Args:
        rows: of `TAG_SCHEMA`.
        groups: the names of each exclusive group.
        sources: the sources of tags.

    Returns:
        For each group `names` (how many portraits have each), `unnamed`, and for each two sources, as `a_b`: `images`
        (that both name), `agreement` (share of these with the same name) and `kappa` (Cohen 1960: agreement beyond
        what the names' frequencies give by chance, at most 1; null where chance alone gives 1).
    """
    counts: dict[str, Counter] = {group: Counter() for group in groups}
    pairs = {group: {pair: Counter[tuple[str, str]]() for pair in combinations(sources, 2)} for group in groups}
    for row in rows:
        by_source: AssignedTags = {source: {} for source in sources}
        for name, probability, source in zip(row["tags"], row["tag_probabilities"], row["tag_sources"], strict=True):
            by_source[source][name] = probability
        for group, names in groups.items():
            counts[group][row[group]] += 1
            named = {source: most_probable(probs, names)[0] for source, probs in by_source.items()}
            for (a, b), counter in pairs[group].items():
                name_a, name_b = named[a], named[b]
                if name_a is not None and name_b is not None:
                    counter[name_a, name_b] += 1
    return {
        group: {"names": {name: counts[group][name] for name in names}, "unnamed": counts[group][None]}
        | {f"{a}_{b}": _agreement(counter) for (a, b), counter in pairs[group].items()}
        for group, names in groups.items()
    }


def _agreement(counter: Counter[tuple[str, str]]) -> dict[str, float | int | None]:
    """Agreement of two sources, from how often each pair of names occurs."""
    images = counter.total()
    if not images:
        return {"images": 0, "agreement": None, "kappa": None}
    share = sum(count for (a, b), count in counter.items() if a == b) / images
    first: Counter[str] = Counter()
    second: Counter[str] = Counter()
    for (a, b), count in counter.items():
        first[a] += count
        second[b] += count
    chance = sum(first[name] * second[name] for name in first) / images**2
    return {"images": images, "agreement": share, "kappa": (share - chance) / (1 - chance) if chance < 1 else None}
