"""Pictures of avatars: the contact sheet, and which variants are taken for which."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facemill.avatars.retrieval import Answers
from facemill.avatars.styles import DrawingStyle
from facemill.imaging.figures import CAPTION, INK, PAPER, image_grid, save_picture
from facemill.imaging.figures import plot as new_plot

CONFUSED = ("eyes", "mouth", "hair")
"""Roles of the confusion matrices."""

CELL = 128
BLOCKS = 2
"""Portraits in a row of the contact sheet."""

_WRITTEN = 8  # variants up to which a matrix's shares and names are written


def draw_sheet(
    rows: Sequence[Sequence[np.ndarray | None]], ids: Sequence[str], styles: Sequence[DrawingStyle], path: Path
) -> None:
    """Draws the contact sheet: portrait, mask, avatar in each style, several portraits a row, with all credits.

    Args:
        rows: of each portrait its pictures, uint8 RGB.
        ids: of the portraits.
        styles: of the avatars, in the pictures' order.
        path: the PNG to write.
    """
    names = ["portrait", "mask", *(style.name for style in styles)]
    per_column = -(-len(rows) // BLOCKS)
    parts = [slice(i, i + per_column) for i in range(0, len(rows), per_column)]
    blocks = [image_grid(rows[part], names, ids[part], CELL) for part in parts]
    lines = [credit(style) for style in styles]
    width, height = sum(block.width + 2 * CAPTION for block in blocks), max(block.height for block in blocks)
    line = CAPTION + 6
    sheet = Image.new("RGB", (width, height + line * (len(lines) + 1)), PAPER)
    left = 0
    for block in blocks:
        sheet.paste(block, (left, 0))
        left += block.width + 2 * CAPTION
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(CAPTION)
    for i, text in enumerate(lines):
        draw.text((CAPTION, height + line * i + CAPTION / 2), text, INK, font)
    save_picture(sheet, path)


def credit(style: DrawingStyle) -> str:
    """A style's creator and license in words, as its license asks for."""
    made = f"{style.name}: drawings by {style.creator}" if style.creator else style.name
    return ", ".join(filter(None, [made, style.license, style.license_url]))


def draw_confusion(answers: Mapping[str, Mapping[str, Answers]], path: Path) -> None:
    """Draws matrices of variants taken for one another, a row for each title, a column for each role."""
    shown = {title: of for title, of in answers.items() if any(role in of for role in CONFUSED)}
    if not shown:
        with new_plot(path, 5, 1.5) as (_, axes):
            axes.set_axis_off()
            axes.text(0.5, 0.5, "no style has eyes, mouth or hair to choose", ha="center", va="center")
        return
    with new_plot(path, 15, 4.2 * len(shown), nrows=len(shown), ncols=len(CONFUSED), squeeze=False) as (_, grid):
        for panels, (title, of_roles) in zip(grid, shown.items(), strict=True):
            for axes, role in zip(panels, CONFUSED, strict=True):
                if role in of_roles:
                    _draw_matrix(axes, of_roles[role], f"{title}: {role}")
                else:
                    axes.set_axis_off()


def _draw_matrix(axes: Any, answers: Answers, title: str) -> None:
    rows, columns, shares = answers.confusion()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if len(columns) <= _WRITTEN:
        for y, x in np.argwhere(shares > 0):
            color = "white" if shares[y, x] > 0.5 else "#333"
            axes.text(x, y, f"{100 * shares[y, x]:.0f}", ha="center", va="center", fontsize=9, color=color)
    small = 8 if len(columns) <= _WRITTEN else max(3.0, 150 / len(columns))
    axes.set_xticks(
        range(len(columns)), [name or "not seen" for name in columns], rotation=40, ha="right", fontsize=small
    )
    axes.set_yticks(range(len(rows)), rows, fontsize=small)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    scores = answers.scores()
    top1 = scores["top1"] or 0
    axes.set_title(f"{title}, {100 * top1:.1f}% of {scores['n']} right", fontsize=10)
