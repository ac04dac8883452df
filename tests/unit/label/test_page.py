"""The page of checks: areas, outliers first, warnings."""

import re

import numpy as np

from facemill.data.classes import CLASSES, FACE, HAIR, IGNORE, MOUTH
from facemill.imaging.figures import colorize
from facemill.label.convert_labels import labelled_row
from facemill.label.page import SHOWN, areas_of, checks_page, deviations


def mask(hair: int, mouth: int = 4) -> np.ndarray:
    drawn = np.full((64, 64), FACE, np.uint8)
    drawn[:hair], drawn[60:, :mouth] = HAIR, MOUTH
    return drawn


def page(masks: dict[str, np.ndarray], warnings=None, leaders=None) -> str:
    rows = [labelled_row(id, colorize(drawn), drawn) for id, drawn in masks.items()]
    return checks_page(rows, dict.fromkeys(masks, "train"), warnings or {}, {id: id for id in masks} | (leaders or {}))


def cards(html: str) -> list[str]:
    return re.findall(r"<figcaption><b>(.*?)</b>", html)


def test_areas_are_shares_of_all_pixels():
    drawn = mask(16)
    drawn[30:32] = IGNORE
    assert areas_of([drawn])[0, HAIR] == 0.25
    assert areas_of([drawn]).sum() == 1 - 2 / 64


def test_an_area_unlike_the_others_stands_out():
    areas = areas_of([mask(20 + i % 5, 4 + i % 3) for i in range(40)] + [mask(50), mask(22, 0)])
    away = deviations(areas)
    assert np.abs(away).max(1).argsort()[-2:].tolist() in ([40, 41], [41, 40])
    assert away[40, HAIR] > 3.5 and away[41, MOUTH] < -3.5 and np.abs(away[:40]).max() < 3.5


def test_outliers_come_first_and_are_marked():
    html = page({str(i): mask(20 + i % 5) for i in range(30)} | {"odd <1>": mask(2)})
    assert cards(html)[0] == "odd &lt;1&gt;" and len(cards(html)) == 31
    first = html[html.index("<figure>") : html.index("</figure>")]
    assert re.findall(r"<span class=far>.*?</i>(\w+) ([\d.]+)%", first)[-1] == ("hair", "3.12")
    assert all(name in first for name in CLASSES)


def test_warnings_and_near_duplicates_are_told():
    html = page({"a": mask(20), "b": mask(21)}, {"b": ["shape 1 (hair): <outside>"]}, {"b": "a"})
    assert html.count("shape 1 (hair): &lt;outside&gt;") == 2 and "nearly the same as a" in html


def test_the_page_needs_no_other_file_and_stays_small():
    html = page({str(i): mask(20) for i in range(SHOWN + 5)})
    assert len(cards(html)) == SHOWN and f"The first {SHOWN} of them" in html
    assert not re.search(r'(src|href)="(?!data:)', html) and "<script" not in html
