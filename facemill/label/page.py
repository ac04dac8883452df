"""HTML page for checking labelled portraits: areas of the classes, overlays, outliers first."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import cv2
import numpy as np

from facemill.data.classes import ClassTable
from facemill.data.shards import decode_image, decode_mask, encode_jpeg
from facemill.imaging.figures import overlay
from facemill.metrics.outliers import robust_z

MAX_CARDS = 300
"""Overlays on the page, some 20 kB each."""

PICTURE_SIZE = 160
"""Width and height of each picture, in pixels."""

OUTLIER_Z = 3.5
"""The robust z-score above which an area is marked (Iglewicz and Hoaglin 1993)."""

MIN_MAD = 0.01
"""Added to the deviations of the square roots of areas, for classes whose areas are nearly equal."""

STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; color: #20222c; margin: 2em auto; max-width: 1240px; padding: 0 1em }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
.classes { display: grid; grid-template-columns: repeat(auto-fill, minmax(270px, 1fr)); gap: 12px 24px }
.classes svg { width: 100%; height: 46px; display: block }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(336px, 1fr)); gap: 16px }
figure { margin: 0; padding: 6px; border: 1px solid #d8dae2; border-radius: 6px; min-width: 0 }
figure img { width: 50%; display: inline-block; image-rendering: pixelated; vertical-align: top }
figcaption { font-size: 13px; overflow-wrap: anywhere } ul { margin: 4px 0; padding-left: 18px }
.areas { display: flex; flex-wrap: wrap; gap: 2px 10px } .areas span { white-space: nowrap }
.areas i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: 3px }
.far { color: #b3122e; font-weight: 600 } .warning { color: #8a5a00 }
"""


def class_areas(masks: Sequence[np.ndarray], classes: int) -> np.ndarray:
    """Each class's share of all pixels of a mask of class ids, ignored pixels included: float64 (N, classes)."""
    counts = [np.bincount(mask.ravel(), minlength=classes)[:classes] for mask in masks]
    return np.array(counts) / np.array([[mask.size] for mask in masks])


def area_z(areas: np.ndarray) -> np.ndarray:
    """Robust z-scores of areas by class: (N, classes).

    They are those of the areas' square roots, whose variance depends less on the size.
    """
    return robust_z(np.sqrt(areas), MIN_MAD)


def labels_page(
    rows: Sequence[dict[str, Any]],
    classes: ClassTable,
    splits: Mapping[str, str],
    warnings: Mapping[str, Sequence[str]],
    representatives: Mapping[str, str],
) -> str:
    """The page as HTML that needs no other file.

    Args:
        rows: labelled portraits.
        classes: their masks' class table.
        splits: the split of each row, by id.
        warnings: what `labelled_rows` warns of, by id.
        representatives: what `duplicate_groups` returns.
    """
    masks = [decode_mask(row["mask"]["bytes"], classes) for row in rows]
    areas = class_areas(masks, len(classes))
    z = area_z(areas)
    order = np.argsort(-np.abs(z).max(1), kind="stable").tolist()
    cards = []
    for i in order[:MAX_CARDS]:
        row_id = rows[i]["id"]
        notes = (
            [f"nearly the same as {representatives[row_id]}, or of its image"]
            if representatives[row_id] != row_id
            else []
        )
        notes += warnings.get(row_id, [])
        cards.append(_card(rows[i], masks[i], classes, areas[i], z[i], splits[row_id], notes))
    limit_note = f" The first {MAX_CARDS} of them." if len(cards) < len(order) else ""
    ignored = np.mean([np.mean(mask >= len(classes)) for mask in masks])
    counts = ", ".join(f"{list(splits.values()).count(split)} {split}" for split in dict.fromkeys(splits.values()))
    listed = "".join(f"<li>{escape(key)}: {escape(text)}</li>" for key, texts in warnings.items() for text in texts)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Labelled portraits</title><style>{STYLE}</style>
<h1>{len(rows)} labelled portraits</h1>
<p>{counts}. {ignored:.2%} of their pixels are ignored.</p>
{f'<h2>Warnings</h2><ul class="warning">{listed}</ul>' if listed else ""}
<h2>Area of each class</h2>
<p>A dot is a portrait, at the class's share of its pixels; red ones are more than {OUTLIER_Z:g} robust standard
deviations from the median, the line.</p>
<div class="classes">{"".join(_strip(classes, c, areas[:, c], z[:, c]) for c in range(len(classes)))}</div>
<h2>Overlays, outliers first</h2>
<p>Sorted by the area that is furthest from its class's median.{limit_note}</p>
<div class="cards">{"".join(cards)}</div>
</html>
"""


def _color(classes: ClassTable, c: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*classes.colors[c])


def _strip(classes: ClassTable, c: int, areas: np.ndarray, z: np.ndarray) -> str:
    """The areas of class `c` as dots along a line, at different heights so that fewer overlap."""
    largest = max(areas.max(), 1e-9)
    dots = "".join(
        f'<circle cx="{10 + 480 * area / largest:.1f}" cy="{12 + 7 * (i * 5 % 8)}" r="3.5"'
        f' fill="{"#b3122e" if abs(score) > OUTLIER_Z else _color(classes, c)}" fill-opacity=".6"/>'
        for i, (area, score) in enumerate(zip(areas, z, strict=True))
    )
    median = 10 + 480 * np.median(areas) / largest
    return (
        f"<div>{classes.names[c]}: median {np.median(areas):.2%}, {areas.min():.2%} to {areas.max():.2%}, in"
        f" {np.count_nonzero(areas)} portraits"
        f'<svg viewBox="0 0 500 80" preserveAspectRatio="none">{dots}'
        f'<path d="M{median:.1f} 0V76" stroke="#20222c" stroke-width="2"/></svg></div>'
    )


def _card(
    row: dict[str, Any],
    mask: np.ndarray,
    classes: ClassTable,
    areas: np.ndarray,
    z: np.ndarray,
    split: str,
    notes: Sequence[str],
) -> str:
    image = decode_image(row["image"]["bytes"])
    shares = "".join(
        f'<span{" class=far" if abs(score) > OUTLIER_Z else ""}><i style="background:{_color(classes, c)}"></i>'
        f"{classes.names[c]} {area:.2%}</span>"
        for c, (area, score) in enumerate(zip(areas, z, strict=True))
    )
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f"<figure>{_picture(image)}{_picture(overlay(image, mask, classes))}"
        f'<figcaption><b>{escape(row["id"])}</b> ({split})<div class="areas">{shares}</div>'
        f"{f'<ul class=warning>{listed}</ul>' if listed else ''}</figcaption></figure>"
    )


def _picture(pixels: np.ndarray) -> str:
    small = cv2.resize(pixels, (PICTURE_SIZE, PICTURE_SIZE), interpolation=cv2.INTER_AREA)
    encoded = base64.b64encode(encode_jpeg(small, 85)).decode()
    return f'<img alt="" src="data:image/jpeg;base64,{encoded}">'
