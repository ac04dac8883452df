"""Backgrounds of the embedded sample's portraits, as SVG, and random colors."""

import colorsys
import random

import numpy as np

CANVAS = 768
"""Width and height of a drawing's canvas, the unit of all its coordinates."""


def draw_background(rng: random.Random, figure: list[str]) -> tuple[str, str]:
    """The kind of a background and its SVG, in colors that stand out from those of the figure."""

    def color() -> str:
        """A random color that none of the figure's is near."""
        while True:
            candidate = random_color(rng)
            if all(_square_distance(candidate, other) > 0.05 for other in figure):
                return candidate

    kind = rng.choice(["plain", "plain", "gradient", "stripes", "dots"])
    first, second, angle, step = color(), color(), rng.randrange(360), rng.uniform(80, 160)
    cover = f'<rect width="{CANVAS}" height="{CANVAS}" fill="{{}}"/>'.format
    turn = f"rotate({angle} {CANVAS / 2} {CANVAS / 2})"
    if kind == "gradient":
        return kind, _gradient([(0, first), (1, second)], CANVAS, turn) + cover("url(#b)")
    if kind == "stripes":  # a gradient with a sharp edge
        return kind, _gradient([(0.47, first), (0.53, second)], step / 2, turn) + cover("url(#b)")
    dots = f'<g fill="{second}" transform="{turn}">{_dots(step)}</g>' if kind == "dots" else ""
    return kind, cover(first) + dots


def _gradient(stops: list[tuple[float, str]], length: float, turn: str) -> str:
    """An SVG gradient with the id `b` that runs back and forth along its length."""
    return (
        f'<linearGradient id="b" gradientUnits="userSpaceOnUse" x2="{length:.1f}" spreadMethod="reflect" '
        f'gradientTransform="{turn}">'
        + "".join(f'<stop offset="{offset}" stop-color="{color}"/>' for offset, color in stops)
        + "</linearGradient>"
    )


def _dots(step: float) -> str:
    """SVG circles on a square grid that covers the canvas however it is turned."""
    centers = np.arange(-0.25 * CANVAS, 1.25 * CANVAS, step)
    return "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{step / 4:.1f}"/>' for x in centers for y in centers)


def _hex(rgb: tuple[float, ...]) -> str:
    return "#" + "".join(f"{round(255 * min(max(channel, 0), 1)):02x}" for channel in rgb)


def _rgb(color: str) -> tuple[float, ...]:
    return tuple(int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))


def _square_distance(a: str, b: str) -> float:
    return sum((x - y) ** 2 for x, y in zip(_rgb(a), _rgb(b), strict=True))


def jitter_color(rng: random.Random, color: str, amount: float) -> str:
    """A random color near the given color: `amount` lighter or darker at most, and each channel half as much."""
    light = rng.uniform(-amount, amount)
    return _hex(tuple(channel + light + rng.uniform(-amount, amount) / 2 for channel in _rgb(color)))


def random_color(rng: random.Random) -> str:
    """A color of any hue, from pale to strong, never near black: `#rrggbb`."""
    return _hex(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.05, 0.85), rng.uniform(0.25, 1)))
