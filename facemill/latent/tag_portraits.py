"""Tags of portraits from several sources: which name each exclusive group gets, and how far the sources agree."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import pyarrow as pa

from facemill.config.latent import TagsConfig
from facemill.errors import UserError
from facemill.imaging.colors import REGIONS
from facemill.imaging.palettes import lab_palette
from facemill.taggers.local import CollectionTagger, ColorTagger
from facemill.taggers.tagger import Tagger, TaggerInput, network_tagger

GROUPS = {"hair_color": "hair", "skin_color": "skin", "eye_color": "eye"}
"""Exclusive groups, of whose names a portrait has one at most, and the region whose color they name."""

TEXT, NUMBER = pa.string(), pa.float32()
TAG_SCHEMA = pa.schema(
    [("id", TEXT)]
    + [(group + suffix, kind) for group in GROUPS for suffix, kind in [("", TEXT), ("_probability", NUMBER)]]
    + [(group + "_source", TEXT) for group in GROUPS]
    + [("tags", pa.list_(TEXT)), ("tag_probabilities", pa.list_(NUMBER)), ("tag_sources", pa.list_(TEXT))]
    + [(region, pa.list_(NUMBER)) for region in REGIONS]
)
"""Rows of a `tags` shard.

For each group its name, with probability and source, from the first source that has one; then every believed tag, with
its probability and source; then the median L*a*b* of each region. What there is not is null.
"""

Believed = dict[str, dict[str, float]]
"""For each source the tags that it believes, with their probabilities."""


def names_of(settings: TagsConfig) -> dict[str, list[str]]:
    """The names of each exclusive group that has any."""
    palettes = {group: getattr(settings, f"{group}s") for group in GROUPS}
    return {group: list(palette) for group, palette in palettes.items() if palette}


def color_tagger(settings: TagsConfig) -> ColorTagger:
    """Names the colors of regions by the config's palettes."""
    return ColorTagger({GROUPS[group]: lab_palette(getattr(settings, f"{group}s")) for group in names_of(settings)})


def load_tagger(source: str, settings: TagsConfig, booleans: Sequence[str]) -> Tagger:
    """The tagger of one of `settings.sources`; `booleans` are tags wanted besides the groups' names."""
    match source:
        case "color":
            return color_tagger(settings)
        case "tags":
            return CollectionTagger([name for names in names_of(settings).values() for name in names] + list(booleans))
        case "i2v" | "wd14" if folder := getattr(settings, source):
            return network_tagger(source, folder, settings.threshold)
    raise UserError(
        f"tags.sources: found {source!r}; accepted: color, tags, and i2v or wd14 where it names their files"
    )


def best(probable: Mapping[str, float], names: Iterable[str]) -> tuple[str | None, float | None]:
    """The most probable of the names and its probability; Nones where none is there, or the first two are equal."""
    ranked = sorted(((probable[name], name) for name in names if name in probable), reverse=True)
    if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
        return None, None
    return ranked[0][1], ranked[0][0]


def believed_tags(
    taggers: Mapping[str, Tagger],
    portraits: Sequence[TaggerInput],
    groups: Mapping[str, Sequence[str]],
    booleans: Sequence[str],
) -> list[Believed]:
    """For each portrait what each source believes of the groups' names and of the booleans.

    Of each group a color tagger believes the nearest name alone. Raises `UserError` for a tagger that knows none.
    """
    wanted = [name for names in groups.values() for name in names] + list(booleans)
    rows: list[Believed] = [{} for _ in portraits]
    for source, tagger in taggers.items():
        known = [name for name in wanted if tagger.knows(name)]
        if not known:
            raise UserError(f"tags.sources: found {source!r}, which knows no tag of the config, such as {wanted[0]!r}")
        for row, probable in zip(rows, tagger.estimate_specific_tags(portraits, known), strict=True):
            if isinstance(tagger, ColorTagger):
                nearest = [best({n: p for n, p in probable.items() if p > 0}, names)[0] for names in groups.values()]
                row[source] = {name: probable[name] for name in nearest if name is not None}
            else:
                row[source] = {name: p for name, p in probable.items() if p > tagger.threshold}
    return rows


def tag_row(id: str, believed: Believed, groups: Mapping[str, Sequence[str]], colors: Mapping | None) -> dict:
    """A row of `TAG_SCHEMA`."""
    row: dict = {"id": id} | dict.fromkeys(TAG_SCHEMA.names[1:])
    for group, names in groups.items():
        for source, probable in believed.items():
            name, probability = best(probable, names)
            if name is not None:
                row |= {group: name, f"{group}_probability": probability, f"{group}_source": source}
                break
    tags = [(name, p, source) for source, probable in believed.items() for name, p in probable.items()]
    columns = zip(*tags, strict=True) if tags else ([], [], [])
    row |= dict(zip(("tags", "tag_probabilities", "tag_sources"), map(list, columns), strict=True))
    return row | dict(colors or {})


def agreement(rows: Iterable[Mapping], groups: Mapping[str, Sequence[str]], sources: Sequence[str]) -> dict:
    """How often each name is given, and for each two sources how far they agree.

    Args:
        rows: of `TAG_SCHEMA`.

    Returns:
        For each group `names` (how many portraits have each), `unnamed`, and for each two sources, as `a_b`: `images`
        (that both name), `agreement` (share of these that get the same name) and `kappa` (Cohen's: agreement beyond
        what the names' frequencies give by chance, 1 at most; null where that is all).
    """
    counts = {group: Counter() for group in groups}
    pairs = {group: {pair: Counter() for pair in combinations(sources, 2)} for group in groups}
    for row in rows:
        by_source: Believed = {source: {} for source in sources}
        for name, probability, source in zip(row["tags"], row["tag_probabilities"], row["tag_sources"], strict=True):
            by_source[source][name] = probability
        for group, names in groups.items():
            counts[group][row[group]] += 1
            named = {source: best(probable, names)[0] for source, probable in by_source.items()}
            for a, b in pairs[group]:
                if named[a] is not None and named[b] is not None:
                    pairs[group][a, b][named[a], named[b]] += 1
    figures = {}
    for group, names in groups.items():
        given = {name: counts[group][name] for name in names}
        found = {f"{a}_{b}": _agreement(both) for (a, b), both in pairs[group].items()}
        figures[group] = {"names": given, "unnamed": counts[group][None]} | found
    return figures


def _agreement(both: Counter) -> dict[str, float | int | None]:
    images = both.total()
    if not images:
        return {"images": 0, "agreement": None, "kappa": None}
    share = sum(count for (a, b), count in both.items() if a == b) / images
    first, second = Counter(), Counter()
    for (a, b), count in both.items():
        first[a] += count
        second[b] += count
    chance = sum(first[name] * second[name] for name in first) / images**2
    return {"images": images, "agreement": share, "kappa": (share - chance) / (1 - chance) if chance < 1 else None}
