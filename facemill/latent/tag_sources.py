"""Sources of tags: the taggers that the config names, and the tags that each assigns."""

from collections.abc import Mapping, Sequence

from facemill.config.latent import TagsConfig
from facemill.errors import UserError
from facemill.imaging.palettes import lab_palette
from facemill.latent.attributes import GROUPS
from facemill.taggers.local import CollectionTagger, ColorTagger
from facemill.taggers.tagger import Tagger, TaggerInput, most_probable, network_tagger

AssignedTags = dict[str, dict[str, float]]
"""For each source the tags that it assigns to a portrait, with their probabilities."""


def group_names(tags_config: TagsConfig) -> dict[str, list[str]]:
    """The names of each exclusive group that has any."""
    palettes = {group: getattr(tags_config, f"{group}s") for group in GROUPS}
    return {group: list(palette) for group, palette in palettes.items() if palette}


def color_tagger(tags_config: TagsConfig) -> ColorTagger:
    """A tagger that names the colors of regions by the config's palettes."""
    palettes = {group: lab_palette(getattr(tags_config, f"{group}s")) for group in group_names(tags_config)}
    return ColorTagger({GROUPS[group]: palette for group, palette in palettes.items()})


def load_tagger(source: str, tags_config: TagsConfig, booleans: Sequence[str]) -> Tagger:
    """The tagger of one of `tags_config.sources`; `booleans` are tags wanted besides the groups' names."""
    match source:
        case "color":
            return color_tagger(tags_config)
        case "tags":
            names = [name for names in group_names(tags_config).values() for name in names]
            return CollectionTagger([*names, *booleans])
        case "i2v" | "wd14" if folder := getattr(tags_config, source):
            return network_tagger(source, folder, tags_config.threshold)
    raise UserError(
        f"tags.sources: found {source!r}; accepted: color, tags, and i2v or wd14 where it names their files"
    )


def assign_tags(
    taggers: Mapping[str, Tagger],
    portraits: Sequence[TaggerInput],
    groups: Mapping[str, Sequence[str]],
    booleans: Sequence[str],
) -> list[AssignedTags]:
    """The groups' names and booleans that each source assigns to each portrait: those more probable than its threshold.

    A color tagger assigns only the nearest name of each group. Raises `UserError` for a tagger that knows no name.
    """
    wanted = [name for names in groups.values() for name in names] + list(booleans)
    assigned: list[AssignedTags] = [{} for _ in portraits]
    for source, tagger in taggers.items():
        known = [name for name in wanted if tagger.knows(name)]
        if not known:
            raise UserError(f"tags.sources: found {source!r}, which knows no tag of the config, such as {wanted[0]!r}")
        for tags, probs in zip(assigned, tagger.estimate_specific_tags(portraits, known), strict=True):
            if isinstance(tagger, ColorTagger):
                positive = {name: p for name, p in probs.items() if p > 0}
                nearest = [most_probable(positive, names)[0] for names in groups.values()]
                tags[source] = {name: probs[name] for name in nearest if name is not None}
            else:
                tags[source] = {name: p for name, p in probs.items() if p > tagger.threshold}
    return assigned
