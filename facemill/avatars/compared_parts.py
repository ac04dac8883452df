"""The parts on which extractors are compared: of styles, of the collection's portraits, of the sample's film."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from PIL import Image

from facemill.avatars.cut_regions import decode_crop
from facemill.avatars.drawn import Drawer, Drawn, draw_all
from facemill.avatars.matching import Library, Weights
from facemill.avatars.measured import SAMPLE_STYLE, masked_portraits, rows_of
from facemill.avatars.regions import Part, cut_parts, seven_ids
from facemill.avatars.retrieval import told_components, variant_name
from facemill.avatars.stability import moved
from facemill.avatars.styles import DrawingStyle, PartRole
from facemill.data.film import Frame, frames
from facemill.data.shards import decode_mask, mask_classes, read_rows, read_table
from facemill.inference.segmenter import Segmenter
from facemill.latent.rows import sample_ids

ROLES: tuple[PartRole, ...] = ("eyes", "mouth", "hair", "face")
"""Parts that are compared, where a style has several."""

CONTEXTS = 2
"""Contexts of each variant that are compared with: of the six, since networks are slow."""

DRAWN = 50
"""Portraits drawn in each style, whose parts are looked for in it."""

COLLECTION, MOVED, MOVES = 160, 40, 3
"""Portraits of the collection, how many of them are moved, and how often."""

SALT = 77  # other portraits than the weights of `shape` were chosen on

StyleRole = tuple[str, PartRole]


@dataclass(frozen=True)
class Named:
    """Parts, each with the variant that it is."""

    parts: Sequence[Part]
    names: np.ndarray
    """Strings (N,)."""


@dataclass(frozen=True)
class Moved:
    """Parts of portraits, and the same after a small move."""

    before: Sequence[Part]
    after: Sequence[Part]


@dataclass(frozen=True)
class Filmed(Named):
    """The parts that a film shows of one role, frame by frame; `names` is the truth."""

    still: np.ndarray
    """Whether the figure has not moved its face yet: bool (N,)."""


@dataclass(frozen=True)
class ComparedParts:
    """All parts on which extractors are compared."""

    libraries: Mapping[StyleRole, Named]
    weights: Mapping[StyleRole, Weights]
    drawn: Mapping[StyleRole, Named]
    collection: Mapping[PartRole, Sequence[Part]]
    moved: Mapping[PartRole, Moved]
    own: Mapping[PartRole, Named]
    """Of the sample's portraits, whose variants are known, as the U-Net's masks show them."""
    film: Mapping[PartRole, Filmed]


def read_library(
    parts: Path, roles: Sequence[PartRole]
) -> tuple[DrawingStyle, dict[StyleRole, Weights], dict[StyleRole, Named]]:
    """A style, the weights of `shape` for each role, and its parts in the first `CONTEXTS`."""
    library = Library.load(parts, parts.with_suffix(".json"))
    table = read_table(parts, ["role", "candidate", "context", "crop", "descriptor"])
    rows = [row for row in table.to_pylist() if row["context"] < CONTEXTS]
    named: dict[StyleRole, Named] = {}
    for role in roles:
        if role not in library.prototypes:
            continue
        told = told_components(library.style, role)
        of_role = [row for row in rows if row["role"] == role]
        names = [variant_name(library.choices(role, row["candidate"]), told) for row in of_role]
        if len(set(names)) > 1:
            named[parts.stem, role] = Named([_part(row) for row in of_role], np.array(names))
    weights: dict[StyleRole, Weights] = {(parts.stem, role): of.weights for role, of in library.prototypes.items()}
    return library.style, weights, named


def _part(row: Mapping) -> Part:
    crop = decode_crop(row["crop"]["bytes"])
    return Part(crop, np.array(row["descriptor"], np.float32), row.get("openness"), row.get("lab"))


def drawn_parts(drawn: Mapping[str, Sequence[Drawn]], keys: Sequence[StyleRole]) -> dict[StyleRole, Named]:
    """The parts of drawn portraits, for each style and role, where the masks show them."""
    parts = {}
    for name, role in keys:
        shown = [portrait for portrait in drawn[name] if role in portrait.parts]
        if shown:
            told = told_components(shown[0].style, role)
            names = [variant_name(portrait.variants, told) for portrait in shown]
            parts[name, role] = Named([portrait.parts[role] for portrait in shown], np.array(names))
    return parts


def read_collection(
    regions: Sequence[Path], ids: Sequence[str], roles: Sequence[PartRole]
) -> dict[PartRole, dict[str, Part]]:
    """The parts of some portraits, by role and id."""
    parts: dict[PartRole, dict[str, Part]] = {role: {} for role in roles}
    for table in rows_of(regions, ids, ["role", "crop", "descriptor"]):
        for row in table.to_pylist():
            if row["role"] in parts:
                parts[row["role"]][row["id"]] = _part(row)
    return {role: of for role, of in parts.items() if of}


def moved_parts(
    portraits: Sequence[Path], pseudo_labels: Sequence[Path], ids: Sequence[str], looks: int, seed: int
) -> dict[PartRole, Moved]:
    """The parts of some portraits, and of the same ones moved `MOVES` times."""
    pairs: dict[PartRole, list[tuple[Part, Part]]] = {}
    for number, portrait in enumerate(masked_portraits(portraits, pseudo_labels, ids)):
        before = cut_parts(*portrait, looks=looks)
        for move in range(MOVES):
            after = cut_parts(*moved(*portrait, np.random.default_rng([seed, number, move])), looks=looks)
            for role in before.keys() & after.keys():
                pairs.setdefault(role, []).append((before[role], after[role]))
    return {role: Moved(*zip(*of, strict=True)) for role, of in pairs.items()}


def named_portraits(
    variants: Path, style: DrawingStyle, parts: Mapping[PartRole, Mapping[str, Part]]
) -> dict[PartRole, Named]:
    """Parts of portraits whose variants a table names, by role."""
    truths = {row["id"]: row for row in read_rows([variants])}
    named = {}
    for role, of in parts.items():
        if role in style.candidates and (ids := [row_id for row_id in of if row_id in truths]):
            told = told_components(style, role)
            names = [variant_name(truths[row_id], told) for row_id in ids]
            named[role] = Named([of[row_id] for row_id in ids], np.array(names))
    return named


def filmed_parts(
    film: Path, truth: Path, unet: Path | None, looks: int, roles: Sequence[PartRole] = ("eyes", "mouth")
) -> dict[PartRole, Filmed]:
    """The parts that a film shows of its figure, frame by frame, with the variant that each is.

    Args:
        film: the film.
        truth: the table of what its frames show.
        unet: the U-Net that segments them; none: the table's masks.
        looks: that a descriptor is the mean of.
        roles: of parts; each is a column of the table.
    """
    rows = read_table(truth).filter(pc.field("film") == film.stem).to_pylist()
    expressions = [tuple(row[role] for role in ("eyes", "eyebrows", "mouth")) for row in rows]
    still = next((i for i, expression in enumerate(expressions) if expression != expressions[0]), len(rows))
    shown: dict[PartRole, list[tuple[Part, str, bool]]] = {role: [] for role in roles}
    masked = _segmented(frames(film), unet) if unet else zip(frames(film), _truth_masks(truth, rows), strict=True)
    for number, (frame, mask) in enumerate(masked):
        row, parts = rows[number], cut_parts(frame.pixels, mask, looks=looks)
        for role in roles:
            if role in parts and row[role]:
                shown[role].append((parts[role], row[role], number < still))
    filmed = {}
    for role, of in shown.items():
        if of:
            parts_of, names, nothing_yet = zip(*of, strict=True)
            filmed[role] = Filmed(parts_of, np.array(names), np.array(nothing_yet))
    return filmed


def _truth_masks(truth: Path, rows: Sequence[Mapping]) -> list[np.ndarray]:
    classes = mask_classes([truth])
    return [seven_ids(decode_mask(row["mask"]["bytes"], classes), classes) for row in rows]


def _segmented(film: Iterator[Frame], unet: Path) -> Iterator[tuple[Frame, np.ndarray]]:
    """Yields a film's frames, each with the mask that a U-Net predicts: ids of `SEVEN`, uint8 (H, W)."""
    segmenter = Segmenter.load(unet)
    with ThreadPoolExecutor(1) as pool:
        for frame, mask in segmenter.predict(film, lambda frame: Image.fromarray(frame.pixels), pool):
            assert isinstance(mask, np.ndarray)  # frames are decoded already
            yield frame, seven_ids(mask, segmenter.classes)


def compared_parts(
    *,
    portraits: Sequence[Path],
    pseudo_labels: Sequence[Path],
    regions: Sequence[Path],
    parts: Sequence[Path],
    variants: Path | None,
    film: Path | None,
    truth: Path | None,
    unet: Path | None,
    size: int,
    looks: int,
    seed: int,
) -> ComparedParts:
    """Reads, draws and moves all parts; arguments as those of `compare_extractors`."""
    styles: dict[str, DrawingStyle] = {}
    weights: dict[StyleRole, Weights] = {}
    libraries: dict[StyleRole, Named] = {}
    for path in parts:
        styles[path.stem], of_roles, named = read_library(path, ROLES)
        weights |= of_roles
        libraries |= named
    drawer = Drawer(size, looks)
    drawn = draw_all(styles, DRAWN, drawer, seed + SALT)
    ids = sample_ids([row["id"] for row in read_rows(portraits, ["id"])], COLLECTION, f"extractors-{seed}")
    collection = read_collection(regions, ids, ROLES)
    own = styles.get(SAMPLE_STYLE)
    return ComparedParts(
        libraries,
        weights,
        drawn_parts(drawn, list(libraries)),
        {role: list(of.values()) for role, of in collection.items()},
        moved_parts(portraits, pseudo_labels, ids[:MOVED], looks, seed),
        named_portraits(variants, own, collection) if variants and own else {},
        filmed_parts(film, truth, unet, looks) if film and truth and own else {},
    )
