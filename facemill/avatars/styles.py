"""Drawing styles: DiceBear's definitions, read for what can be matched to a portrait.

A style draws a figure from components (eyes, hair, ...), each in several variants. Components that a portrait's masks
tell about form part roles; the others stay at their plainest variant.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
from dicebear import Avatar, Style
from dicebear.errors import ValidationError

from facemill.avatars import emoji
from facemill.avatars.definitions import check_figures, read_definition
from facemill.errors import UserError

PartRole = Literal["eyes", "eyebrows", "mouth", "hair", "face", "clothes"]

PART_ROLES: tuple[PartRole, ...] = get_args(PartRole)
"""Parts of a portrait that are matched to components of a style."""

Choice = dict[str, str]
"""The variant of each component of a role, `NONE` for a hidden one: `{"hair": "bun", "rearHair": "none"}`."""

NONE = "none"
"""What stands for the variant of a hidden component."""

_COMPONENTS: dict[PartRole, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "eyes": (("eyes", "eye"), ()),
    "eyebrows": (("eyebrows", "brows", "eyebrow"), ()),
    "mouth": (("mouth", "expression"), ()),
    "hair": (
        ("hair", "top", "head"),
        ("rearHair", "frontHair", "sideburns", "beard", "facialHair", "mustache"),
    ),
    "face": (("head", "face"), ()),
    "clothes": (("clothes", "clothing", "outfit", "body"), ()),
}
"""Names of each role's main component, the first that a style has, and of others that masks show as the same class."""

_COLORS = {
    "hair": ("hair", "top", "headContrast", "paperHair"),
    "skin": ("skin", "base", "face", "paperFace"),
    "clothes": ("clothes", "clothing", "shirt", "body"),
    "eye": ("eyes", "eye"),
}
"""Names of the colors of regions of `facemill.imaging.colors.REGIONS`."""

_SAME_COLOR = {"hair": ("facialHair", "beard", "eyebrows")}
"""Colors that follow that of a region."""

_MAX_CANDIDATES = 256
_PACKAGE = files("dicebear_styles")


@dataclass(frozen=True, eq=False)
class DrawingStyle:
    """A drawing style."""

    name: str
    definition: dict = field(repr=False)
    """DiceBear's definition, validated."""
    _style: Style = field(repr=False)

    @classmethod
    def load(cls, name: str) -> Self:
        """Loads a style.

        Args:
            name: a style of the package dicebear-styles, `emoji`, or the path of a definition (.json).

        Raises:
            UserError: there is no such style or file, or it is no sound definition: DiceBear's schema allows neither
                scripts nor outside references, and here neither endless nor immense figures.
        """
        if name == "emoji":
            return cls._of(name, emoji.definition(), "style emoji")
        if name.endswith(".json"):
            return cls._of(Path(name).stem, read_definition(Path(name)), name)
        names = sorted(path.name.removesuffix(".json") for path in _PACKAGE.iterdir() if path.name.endswith(".json"))
        if name not in names:
            raise UserError(
                f"style {name!r}: unknown; accepted: emoji, {', '.join(names)}, or a path that ends in .json"
            )
        return cls._of(name, json.loads(_PACKAGE.joinpath(f"{name}.json").read_text(encoding="utf-8")), f"style {name}")

    @classmethod
    def _of(cls, name: str, definition: dict, where: str) -> Self:
        try:
            style = cls(name, definition, Style(definition))
            check_figures(definition)
            style.svg(style.options({}))  # colors may refer to one another in a circle
        except (ValueError, RuntimeError) as error:  # RecursionError is a RuntimeError, as DiceBear's errors are
            raise UserError(f"{where}: {_fault(error)}; accepted: DiceBear's schema, plain shapes only") from None
        if not style.candidates or not definition["canvas"]["elements"]:
            raise UserError(f"{where}: draws no face; accepted: components such as eyes, mouth, hair, head, clothes")
        return style

    @property
    def creator(self) -> str:
        """The creator's name."""
        return self._meta("creator", "name")

    @property
    def license(self) -> str:
        """The name of the license."""
        return self._meta("license", "name")

    @property
    def license_url(self) -> str:
        """The license's address."""
        return self._meta("license", "url")

    @property
    def source(self) -> str:
        """The address of the work that the style is a remix of."""
        return self._meta("source", "url")

    def _meta(self, section: str, key: str) -> str:
        return self.definition.get("meta", {}).get(section, {}).get(key, "")

    @cached_property
    def components(self) -> dict[str, tuple[str, ...]]:
        """The variants of each component, in the definition's order; aliases of components are not listed."""
        components = self.definition.get("components", {})
        return {name: tuple(entry["variants"]) for name, entry in components.items() if "variants" in entry}

    @cached_property
    def roles(self) -> dict[PartRole, tuple[str, ...]]:
        """The components of each role that the style can show, the main one first."""
        roles: dict[PartRole, tuple[str, ...]] = {}
        taken: set[str] = set()
        for role, (mains, others) in _COMPONENTS.items():
            main = next((name for name in mains if name in self.components and name not in taken), None)
            if main:
                roles[role] = (main, *(name for name in others if name in self.components))
                taken.update(roles[role])
        return roles

    @cached_property
    def candidates(self) -> dict[PartRole, tuple[Choice, ...]]:
        """The choices of each role that has several.

        The main component is always shown. Hair is every combination with beards and other hair where these are no
        more than 256, else the main component with the others plain.
        """
        candidates = {}
        for role, (main, *others) in self.roles.items():
            variants = [self.components[main], *(self._shown_or_not(name) for name in others)]
            if np.prod([len(names) for names in variants]) > _MAX_CANDIDATES:
                variants[1:] = [(self.plain[name],) for name in others]
            choices = tuple(dict(zip((main, *others), names, strict=True)) for names in itertools.product(*variants))
            if len(choices) > 1:
                candidates[role] = choices
        return candidates

    def _shown_or_not(self, component: str) -> tuple[str, ...]:
        return (NONE, *self.components[component])

    def frequencies(self, choices: Sequence[Choice]) -> np.ndarray:
        """How often the style draws each of a role's candidates: float64 (C,), of sum 1.

        Beards and the like are as rare as their probability says; else all variants are equally frequent.
        """
        shares = np.ones(len(choices))
        for i, choice in enumerate(choices):
            for name in list(choice)[1:]:
                shown = self.definition["components"][name].get("probability", 100) / 100
                share = 1 - shown if choice[name] == NONE else shown / len(self.components[name])
                shares[i] *= max(share, 1e-6)  # what a style always shows may be hidden here
        return shares / shares.sum()

    @cached_property
    def plain(self) -> Choice:
        """The plainest variant of each component, or `NONE` for one that is not always shown."""
        entries, roles = self.definition["components"], self.roles
        mains = {names[0] for names in roles.values()}
        optional = {name for names in roles.values() for name in names[1:]}
        plain = {}
        for name, variants in self.components.items():
            hidden = name in optional or (name not in mains and entries[name].get("probability", 100) < 100)
            plain[name] = NONE if hidden else min(variants, key=lambda v: _length(entries[name]["variants"][v]))
        return plain

    @cached_property
    def unseen(self) -> Choice:
        """What masks do not tell: components of no matched role, each with its plainest variant or `NONE`."""
        matched = {component for choices in self.candidates.values() for component in choices[0]}
        return {
            name: variant
            for name, variant in self.plain.items()
            if name not in matched and (len(self.components[name]) > 1 or variant == NONE)
        }

    @cached_property
    def color_options(self) -> dict[str, str]:
        """The option that colors each region: `{"hair": "hairColor"}`."""
        colors = _colors(self.definition)
        names = {region: next((n for n in names if n in colors), None) for region, names in _COLORS.items()}
        return {region: f"{name}Color" for region, name in names.items() if name}

    def options(
        self,
        choices: Mapping[PartRole, Choice],
        colors: Mapping[str, str] = {},
        background: str | None = None,
    ) -> dict[str, Any]:
        """DiceBear's options of a figure, complete: they give the same SVG again.

        Args:
            choices: the choice of each role; components of no choice are plain.
            colors: hex colors by region (`hair`) or by the option's name (`hairColor`); others are the style's first.
            background: a hex color; none: transparent.
        """
        options = {"seed": "", **variant_options(self.plain | merged(choices))}
        for name, color in _colors(self.definition).items():
            options[f"{name}Color"] = [color["values"][0]]
        for region, hex_color in colors.items():
            options[self.color_options.get(region, region)] = [hex_color]
            for name in _SAME_COLOR.get(region, ()):
                if f"{name}Color" in options and f"{name}Color" not in colors:
                    options[f"{name}Color"] = [hex_color]
        options["backgroundColor"] = [background] if background else []
        return options

    def svg(self, options: Mapping[str, Any]) -> str:
        """The figure that DiceBear draws of these options."""
        return str(Avatar(self._style, dict(options)))


def merged(choices: Mapping[PartRole, Choice]) -> Choice:
    """The variant of each component that a role has."""
    return {name: variant for choice in choices.values() for name, variant in choice.items()}


def variant_options(choice: Choice) -> dict[str, Any]:
    """DiceBear's options that show these variants and hide components whose variant is `NONE`."""
    options: dict[str, Any] = {}
    for name, variant in choice.items():
        options[f"{name}Probability"] = 0 if variant == NONE else 100
        if variant != NONE:
            options[f"{name}Variant"] = variant
    return options


def random_options(
    style: DrawingStyle, rng: np.random.Generator, given: Mapping[PartRole, Choice] = {}
) -> tuple[dict[str, Any], dict[PartRole, Choice]]:
    """A figure of random choices, but for those given, and of random colors of the style; returns also its choices.

    Beards and the like are as rare as the style's probabilities say. Unseen components are plain.
    """
    choices = {
        role: candidates[rng.choice(len(candidates), p=style.frequencies(candidates))]
        for role, candidates in style.candidates.items()
    }
    choices |= given
    colors = {f"{name}Color": str(rng.choice(color["values"])) for name, color in _colors(style.definition).items()}
    return style.options(choices, colors), choices


def _colors(definition: dict) -> dict[str, dict]:
    return definition.get("colors", {})


def _fault(error: Exception) -> str:
    """The error in a line; of a definition's faults the deepest, which is the place."""
    if isinstance(error, ValidationError):
        return f"wrong at {max((fault.get('instancePath', '') for fault in error.details), key=len) or '/'}"
    return " ".join(str(error).split())


def _length(variant: dict) -> int:
    return len(json.dumps(variant))
