"""The library of a drawing style: each part that it can draw, rendered, cut and described as a portrait's are."""

import json
import zlib
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw, ImageFont

from facemill.avatars.cut_regions import PART_FIELDS, part_cells
from facemill.avatars.drawn import Drawer
from facemill.avatars.matching import Prototypes, Weights, choose_weights, row_weights, standardize_both
from facemill.avatars.part_maps import over, picture, seven_mask
from facemill.avatars.regions import Part, cut_parts
from facemill.avatars.styles import DrawingStyle, PartRole, random_options
from facemill.data.shards import write_shard
from facemill.files import write_json
from facemill.imaging.figures import INK, PAPER, save_picture
from facemill.log import log, progress

PART_SCHEMA = pa.schema(
    [
        ("role", pa.string()),
        ("candidate", pa.int32()),
        ("choice", pa.string()),
        ("context", pa.int32()),
        *PART_FIELDS,
    ]
)
"""A row for each rendered part."""

CONTEXTS = 6
"""Figures in which a candidate is rendered, each of other parts and colors: what hair hides of eyes is known."""

HAIR_CONTEXTS = 2
"""The same for hair, which nothing hides and which has most candidates."""

MOST_CONTEXTS = 24
"""The same at most for what hair hides much of, eyebrows and clothes: figures drawn for hair serve these, too."""

_PORTRAITS = 100  # that choose the weights
_COLUMNS = 24
_CELL = 64

Rows = dict[PartRole, list[tuple[int, Part]]]
"""The parts of each role, each with its candidate."""


def render_parts(*, style: str, size: int, looks: int, seed: int, parts: Path, about: Path, sheet: Path) -> None:
    """Renders the parts of a style, each in several figures, and describes them.

    Args:
        style: its name in the package dicebear-styles, `emoji`, or the path of a definition (.json).
        size: of the figures, in pixels.
        looks: slightly moved copies of a figure whose descriptors are averaged.
        seed: of the figures' other parts and colors.
        parts: the table to write: for each part its role, candidate, choice, crop and descriptor.
        about: the JSON about it: creator and license, the candidates, and how descriptors are weighted.
        sheet: a picture of all parts.
    """
    loaded = DrawingStyle.load(style)
    rng = np.random.default_rng([seed, zlib.crc32(loaded.name.encode())])
    library = _render(loaded, size, looks, rng)
    queries = _portraits(loaded, Drawer(size, looks), rng)
    weighed = {
        role: _weigh(of, queries[role], loaded.frequencies(loaded.candidates[role]))
        for role, of in library.items()
        if of and role in queries
    }
    weights, measured = ({role: pair[i] for role, pair in weighed.items()} for i in (0, 1))
    write_shard(parts, list(_rows(loaded, library)), PART_SCHEMA)
    write_json(about, {"style": style, **_facts(loaded), "weights": weights, "measured": measured})
    save_picture(_sheet(loaded, library), sheet)


def _facts(style: DrawingStyle) -> dict:
    packages = ("dicebear-core", "dicebear-styles", "resvg_py")
    return {
        "versions": {package: version(package) for package in packages},
        "creator": style.creator,
        "license": style.license,
        "license_url": style.license_url,
        "source": style.source,
        "roles": {role: list(choices) for role, choices in style.candidates.items()},
        "unseen": style.unseen,
    }


def _render(style: DrawingStyle, size: int, looks: int, rng: np.random.Generator) -> Rows:
    rows: Rows = {role: [] for role in style.candidates}
    figures = _figures(style, rng)
    for shown in progress(figures, f"render_parts {style.name}", len(figures), "figures"):
        given = {role: style.candidates[role][candidate] for role, candidate in shown.items()}
        svg = style.svg(random_options(style, rng, given)[0])
        image, mask = over(picture(svg, size)), seven_mask(svg, style, size)
        for role, part in cut_parts(image, mask, looks=looks, roles=shown.keys()).items():
            rows[role].append((shown[role], part))
    for role, of in rows.items():
        if hidden := len(style.candidates[role]) - len({candidate for candidate, _ in of}):
            log.warning("style %s: %d of %d %s draw nothing", style.name, hidden, len(style.candidates[role]), role)
    return rows


def _figures(style: DrawingStyle, rng: np.random.Generator) -> list[dict[PartRole, int]]:
    """The candidates that each figure is drawn for, by role: first all roles but hair, then hair."""
    orders: dict[PartRole, list[int]] = {}
    contexts = {"hair": HAIR_CONTEXTS, "eyebrows": MOST_CONTEXTS, "clothes": MOST_CONTEXTS}
    for role, choices in style.candidates.items():
        permutations = [rng.permutation(len(choices)) for _ in range(contexts.get(role, CONTEXTS))]
        orders[role] = np.concatenate(permutations).tolist()
    hair = orders.pop("hair", [])
    first = max((CONTEXTS * len(style.candidates[role]) for role in orders), default=0)
    figures = [{role: order[i] for role, order in orders.items() if i < len(order)} for i in range(first + len(hair))]
    for figure, candidate in zip(figures[first:], hair, strict=True):
        figure["hair"] = candidate
    return figures


def _portraits(style: DrawingStyle, drawer: Drawer, rng: np.random.Generator) -> Rows:
    """The parts of portraits that the style draws at random, in some pose."""
    rows: Rows = {}
    for _ in progress(range(_PORTRAITS), f"render_parts {style.name}", _PORTRAITS, "portraits"):
        drawn = drawer.at_random(style, rng)
        for role, part in drawn.parts.items():
            if role in style.candidates:
                rows.setdefault(role, []).append((style.candidates[role].index(drawn.choices[role]), part))
    return rows


def _weigh(
    library: list[tuple[int, Part]], queries: list[tuple[int, Part]], frequencies: np.ndarray
) -> tuple[Weights, float]:
    """The weights of a role that its portraits choose, and the share of these that come back to their candidate."""
    candidates, parts = _arrays(library)
    truths, described = _arrays(queries)
    shares = row_weights(candidates, frequencies)
    weights = choose_weights(parts, candidates, described, truths, shares)
    standardized = standardize_both(parts, described, shares)
    return weights, Prototypes(standardized[0], candidates, weights).top_1(standardized[1], truths)


def _arrays(rows: list[tuple[int, Part]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([candidate for candidate, _ in rows]), np.stack([part.descriptor for _, part in rows])


def _rows(style: DrawingStyle, library: Rows) -> Iterator[dict]:
    for role, of in library.items():
        contexts: Counter[int] = Counter()
        for candidate, part in sorted(of, key=lambda row: row[0]):
            yield {
                "role": role,
                "candidate": candidate,
                "choice": json.dumps(style.candidates[role][candidate]),
                "context": contexts[candidate],
                **part_cells(part, f"{role}-{candidate}-{contexts[candidate]}.png"),
            }
            contexts[candidate] += 1


def _sheet(style: DrawingStyle, library: Rows) -> Image.Image:
    """One crop of each candidate over white, the roles below one another; creator and license above."""
    bands = [_band(role, of) for role, of in library.items() if of]
    title = f"{style.name}: {style.creator}, {style.license} {style.license_url}"
    sheet = Image.new("RGB", (_COLUMNS * _CELL, 24 + sum(band.height for band in bands)), PAPER)
    ImageDraw.Draw(sheet).text((6, 4), title, INK, ImageFont.load_default(15))
    top = 24
    for band in bands:
        sheet.paste(band, (0, top))
        top += band.height
    return sheet


def _band(role: PartRole, rows: list[tuple[int, Part]]) -> Image.Image:
    crops = dict(sorted(((candidate, part.crop) for candidate, part in rows), key=lambda row: row[0]))
    band = Image.new("RGB", (_COLUMNS * _CELL, 20 + -(-len(crops) // _COLUMNS) * _CELL), PAPER)
    ImageDraw.Draw(band).text((6, 2), f"{role}, {len(crops)}", INK, ImageFont.load_default(14))
    for i, crop in enumerate(crops.values()):
        cell = Image.fromarray(over(crop)).resize((_CELL - 4, _CELL - 4), Image.Resampling.BOX)
        band.paste(cell, (2 + i % _COLUMNS * _CELL, 20 + i // _COLUMNS * _CELL))
    return band
