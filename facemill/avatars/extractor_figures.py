"""Pictures of what extractors make of parts of portraits, and of the parts of a drawing style."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facemill.avatars.extractors import Extractor
from facemill.avatars.styles import PartRole
from facemill.imaging.figures import plot

FACE, AVATAR = "#f06aa8", "#7b4fc9"
"""Colors of portraits' parts and of styles' parts."""

LINES = 40
"""Codes of each domain that are drawn as lines."""


@dataclass(frozen=True)
class Domains:
    """What an extractor makes of one role's parts."""

    faces: np.ndarray
    """Of portraits: float32 (N, D)."""
    avatars: np.ndarray
    """Of a style: float32 (M, D)."""

    def standardized(self, extractor: Extractor) -> "Domains":
        """Both, each within its own domain."""
        return Domains(*(extractor.standardize(vectors, vectors) for vectors in (self.faces, self.avatars)))


def draw_embeddings(
    path: Path, extractors: Mapping[str, Extractor], domains: Mapping[str, Mapping[PartRole, Domains]]
) -> None:
    """Draws the first two principal components of both domains, before and after standardizing.

    Args:
        path: the PNG to write.
        extractors: by name; a row each.
        domains: by name of the extractor and role; a role is two columns.
    """
    roles = _roles(domains)
    if not roles:
        return _draw_nothing(path)
    columns, size = 2 * len(roles), (2.9 * 2 * len(roles), 2.5 * len(domains) + 0.5)
    with plot(path, *size, nrows=len(domains), ncols=columns, squeeze=False) as (figure, panels):
        for row, (name, of_roles) in zip(panels, domains.items(), strict=True):
            for number, role in enumerate(roles):
                plain = of_roles[role]
                for axes, shown in zip(row[2 * number :], (plain, plain.standardized(extractors[name])), strict=False):
                    _scatter(axes, shown)
            row[0].set_ylabel(name.replace("_", "\n", 1))
        for axes, title in zip(
            panels[0], [f"{r}, {what}" for r in roles for what in ("plain", "standardized")], strict=True
        ):
            axes.set_title(title)
        figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)


def _roles(domains: Mapping[str, Mapping[PartRole, Domains]]) -> list[PartRole]:
    return list(next(iter(domains.values()), {}))


def _draw_nothing(path: Path) -> None:
    with plot(path, 9, 1.2) as (_, axes):
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no part that both the portraits and the style show", ha="center", va="center")


def _scatter(axes: Any, domains: Domains) -> None:
    both = np.concatenate([domains.faces, domains.avatars])
    centered = both - both.mean(0)
    _, values, directions = np.linalg.svd(centered, full_matrices=False)
    points = centered @ directions[:2].T
    count = len(domains.faces)
    for part, color, label in (
        (points[:count], FACE, "parts of portraits"),
        (points[count:], AVATAR, "parts of the style"),
    ):
        axes.scatter(part[:, 0], part[:, 1], s=9, color=color, alpha=0.55, linewidths=0, label=label)
    explained = (values[:2] ** 2).sum() / max((values**2).sum(), 1e-12)
    axes.text(0.98, 0.98, f"{explained:.0%}", transform=axes.transAxes, ha="right", va="top", fontsize=8, color="#777")
    axes.set_xticks([])
    axes.set_yticks([])


def draw_codes(path: Path, domains: Mapping[str, Mapping[PartRole, Domains]]) -> None:
    """Draws the codes of autoencoders: a line a part over the code's numbers, both domains over one another.

    Args:
        path: the PNG to write.
        domains: by name of the autoencoder, a row each, and role, a column each.
    """
    roles = _roles(domains)
    if not roles:
        return _draw_nothing(path)
    with plot(
        path, 4.2 * len(roles), 2.7 * len(domains) + 0.5, nrows=len(domains), ncols=len(roles), squeeze=False
    ) as (
        figure,
        panels,
    ):
        for row, (name, of_roles) in zip(panels, domains.items(), strict=True):
            for axes, role in zip(row, roles, strict=True):
                _codes(axes, of_roles[role])
            row[0].set_ylabel(name.replace("_", "\n", 1))
        for axes, role in zip(panels[0], roles, strict=True):
            axes.set_title(role)
        figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)


def _codes(axes: Any, domains: Domains) -> None:
    numbers = np.arange(1, domains.faces.shape[1] + 1)
    shown = ((domains.faces, FACE, "parts of portraits"), (domains.avatars, AVATAR, "parts of the style"))
    for codes, color, label in shown:
        chosen = codes[np.linspace(0, len(codes) - 1, min(LINES, len(codes))).astype(int)]
        axes.plot(numbers, chosen.T, color=color, alpha=0.3, linewidth=0.8)
        axes.plot(numbers, codes.mean(0), color=color, linewidth=2.2, label=label)
    axes.set_xticks(numbers)
