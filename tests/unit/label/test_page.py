"""The page for checking labels: areas, outliers first, warnings."""

import re

import numpy as np
from helpers.label_files import FACE, HAIR, MOUTH

from facemill.data.classes import IGNORE, SEVEN
from facemill.imaging.figures import colorize
from facemill.label.labelled_rows import labelled_row
from facemill.label.page import MAX_CARDS, area_z, class_areas, labels_page


def mask(hair: int, mouth: int = 4) -> np.ndarray:
    """A face with `hair` rows of hair and a mouth `mouth` pixels wide."""
    pixels = np.full((64, 64), FACE, np.uint8)
    pixels[:hair], pixels[60:, :mouth] = HAIR, MOUTH
    return pixels


def page(masks: dict[str, np.ndarray], warnings=None, representatives=None) -> str:
    rows = [labelled_row(key, colorize(pixels, SEVEN), pixels, SEVEN) for key, pixels in masks.items()]
    representatives = {key: key for key in masks} | (representatives or {})
    return labels_page(rows, SEVEN, dict.fromkeys(masks, "train"), warnings or {}, representatives)


def cards(html: str) -> list[str]:
    return re.findall(r"<figcaption><b>(.*?)</b>", html)


def test_areas_are_shares_of_all_pixels():
    pixels = mask(16)
    pixels[30:32] = IGNORE
    areas = class_areas([pixels], len(SEVEN))
    assert areas[0, HAIR] == 0.25 and areas.sum() == 1 - 2 / 64


def test_an_area_unlike_the_others_stands_out():
    masks = [mask(20 + i % 5, 4 + i % 3) for i in range(40)] + [mask(50), mask(22, 0)]
    z = area_z(class_areas(masks, len(SEVEN)))
    assert np.abs(z).max(1).argsort()[-2:].tolist() in ([40, 41], [41, 40])
    assert z[40, HAIR] > 3.5 and z[41, MOUTH] < -3.5 and np.abs(z[:40]).max() < 3.5


def test_outliers_come_first_and_are_marked():
    html = page({str(i): mask(20 + i % 5) for i in range(30)} | {"odd <1>": mask(2)})
    assert cards(html)[0] == "odd &lt;1&gt;" and len(cards(html)) == 31
    first = html[html.index("<figure>") : html.index("</figure>")]
    assert re.findall(r"<span class=far>.*?</i>(\w+) ([\d.]+)%", first)[-1] == ("hair", "3.12")
    assert all(name in first for name in SEVEN.names)


def test_warnings_and_near_duplicates_are_told():
    html = page({"a": mask(20), "b": mask(21)}, {"b": ["shape 1 (hair): <outside>"]}, {"b": "a"})
    assert html.count("shape 1 (hair): &lt;outside&gt;") == 2 and "nearly the same as a" in html


def test_the_page_needs_no_other_file_and_stays_small():
    html = page({str(i): mask(20) for i in range(MAX_CARDS + 5)})
    assert len(cards(html)) == MAX_CARDS and f"The first {MAX_CARDS} of them" in html
    assert not re.search(r'(src|href)="(?!data:)', html) and "<script" not in html
