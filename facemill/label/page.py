"""The page on which labelled portraits are looked over: the area of every class, overlays, the outliers first."""

import base64
from collections.abc import Mapping, Sequence
from html import escape

import cv2
import numpy as np

from facemill.data.classes import CLASSES, COLORS
from facemill.data.shards import decode_image, decode_mask, encode_jpeg
from facemill.imaging.figures import overlay

SHOWN = 300
"""Overlays on the page, some 20 kB each."""

PICTURE = 160
"""Their size in pixels."""

OUTLIER_Z = 3.5
"""Deviations from the median above which an area is marked (Iglewicz and Hoaglin 1993, for modified z-scores)."""

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


def areas_of(masks: Sequence[np.ndarray]) -> np.ndarray:
    """Each class's share of the pixels of masks of class ids, ignored ones left in the whole: float64 (N, classes)."""
    counts = [np.bincount(mask.ravel(), minlength=len(CLASSES))[: len(CLASSES)] for mask in masks]
    return np.array(counts) / np.array([[mask.size] for mask in masks])


def deviations(areas: np.ndarray) -> np.ndarray:
    """How far each area is from its class's median, in robust standard deviations with their sign: (N, classes).

    Square roots of areas are compared, whose spread depends less on their size; a hundredth is added to the spread, so
    that classes which are nearly always alike do not make outliers of small changes.
    """
    sides = np.sqrt(areas)
    away = sides - np.median(sides, 0)
    return away / (1.4826 * np.median(np.abs(away), 0) + 0.01)


def checks_page(
    rows: Sequence[dict], parts: Mapping[str, str], warnings: Mapping[str, Sequence[str]], leaders: Mapping[str, str]
) -> str:
    """The page as HTML that needs no other file.

    `rows` are labelled portraits; by id, `parts` says where each went, `warnings` what was found in its file, and
    `leaders` which portrait it nearly repeats, itself for most.
    """
    masks = [decode_mask(row["mask"]["bytes"]) for row in rows]
    areas = areas_of(masks)
    away = deviations(areas)
    order = np.argsort(-np.abs(away).max(1), kind="stable").tolist()
    shown = order[:SHOWN]
    cards = [_card(rows[i], masks[i], areas[i], away[i], parts, warnings, leaders) for i in shown]
    lost = f" The first {SHOWN} of them." if len(shown) < len(order) else ""
    unlabelled = np.mean([np.mean(mask >= len(CLASSES)) for mask in masks])
    counts = ", ".join(f"{list(parts.values()).count(part)} {part}" for part in dict.fromkeys(parts.values()))
    listed = "".join(f"<li>{escape(id)}: {escape(warning)}</li>" for id, found in warnings.items() for warning in found)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Labelled portraits</title><style>{STYLE}</style>
<h1>{len(rows)} labelled portraits</h1>
<p>{counts}. {unlabelled:.2%} of their pixels are ignored.</p>
{f'<h2>Warnings</h2><ul class="warning">{listed}</ul>' if listed else ""}
<h2>Area of each class</h2>
<p>A dot is a portrait, at the class's share of its pixels; red ones are more than {OUTLIER_Z:g} robust deviations from the
median, the line.</p>
<div class="classes">{"".join(_strip(c, areas[:, c], away[:, c]) for c in range(len(CLASSES)))}</div>
<h2>Overlays, outliers first</h2>
<p>Sorted by the area that is furthest from its class's median.{lost}</p>
<div class="cards">{"".join(cards)}</div>
</html>
"""


def _color(c: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*COLORS[c])


def _strip(c: int, areas: np.ndarray, away: np.ndarray) -> str:
    """A class's areas as dots along a line, spread over its height by their order so that they do not hide others."""
    most = max(areas.max(), 1e-9)
    dots = "".join(
        f'<circle cx="{10 + 480 * area / most:.1f}" cy="{12 + 7 * (i * 5 % 8)}" r="3.5"'
        f' fill="{"#b3122e" if abs(far) > OUTLIER_Z else _color(c)}" fill-opacity=".6"/>'
        for i, (area, far) in enumerate(zip(areas, away, strict=True))
    )
    middle = 10 + 480 * np.median(areas) / most
    return (
        f"<div>{CLASSES[c]}: median {np.median(areas):.2%}, {areas.min():.2%} to {areas.max():.2%}, in"
        f" {np.count_nonzero(areas)} portraits"
        f'<svg viewBox="0 0 500 80" preserveAspectRatio="none">{dots}'
        f'<path d="M{middle:.1f} 0V76" stroke="#20222c" stroke-width="2"/></svg></div>'
    )


def _card(
    row: dict,
    mask: np.ndarray,
    areas: np.ndarray,
    away: np.ndarray,
    parts: Mapping[str, str],
    warnings: Mapping[str, Sequence[str]],
    leaders: Mapping[str, str],
) -> str:
    id, image = row["id"], decode_image(row["image"]["bytes"])
    figures = "".join(
        f'<span{" class=far" if abs(far) > OUTLIER_Z else ""}><i style="background:{_color(c)}"></i>'
        f"{CLASSES[c]} {area:.2%}</span>"
        for c, (area, far) in enumerate(zip(areas, away, strict=True))
    )
    notes = [f"nearly the same as {leaders[id]}"] if leaders[id] != id else []
    listed = "".join(f"<li>{escape(note)}</li>" for note in [*notes, *warnings.get(id, [])])
    return (
        f"<figure>{_picture(image)}{_picture(overlay(image, mask))}<figcaption><b>{escape(id)}</b> ({parts[id]})"
        f'<div class="areas">{figures}</div>{f"<ul class=warning>{listed}</ul>" if listed else ""}'
        "</figcaption></figure>"
    )


def _picture(pixels: np.ndarray) -> str:
    small = cv2.resize(pixels, (PICTURE, PICTURE), interpolation=cv2.INTER_AREA)
    encoded = base64.b64encode(encode_jpeg(small, 85)).decode()
    return f'<img alt="" src="data:image/jpeg;base64,{encoded}">'
