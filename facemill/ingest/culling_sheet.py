"""Culling sheets: a page for each shard, in one file, on which a click rejects a portrait."""

import base64
import html
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2

from facemill.data.names import as_key
from facemill.data.shards import count_rows, decode_image, encode_jpeg, read_rows
from facemill.data.text import read_text
from facemill.errors import UserError
from facemill.files import atomic_write
from facemill.log import log

THUMBNAIL = 112
"""Height of a thumbnail in pixels."""

_ENTRY = re.compile(
    r"""
    [^\S\n]*
    (?: "((?:[^"]|"")*)" | ((?!"|//)(?:(?![ ]//)[^\n,\t])*|) )  # an id in quotes, or without
    [,;\t ]*
    (?: (?<![^\s,;"])//[^\n]* )?
    (?: \n | $ )
    """,
    re.VERBOSE,
)
"""A line of a list: an id in quotes or without, empty cells, a comment."""

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
  body {{ margin: 0; font: 15px/1.4 system-ui, sans-serif; background: #f4f4f6; color: #20222c }}
  header {{ position: sticky; top: 0; z-index: 1; display: flex; gap: 1rem; align-items: center; padding: .6rem 1rem;
           background: #fff; border-bottom: 1px solid #ddd }}
  h1 {{ font-size: 1rem; margin: 0 }}
  header span {{ flex: 1 }}
  button {{ font: inherit; padding: .25rem .8rem }}
  main {{ display: flex; flex-wrap: wrap; gap: 6px; padding: 1rem }}
  figure {{ position: relative; margin: 0; cursor: pointer; text-align: center }}
  figure img {{ display: block; height: {height}px }}
  figcaption {{ font-size: 11px; color: #667; max-width: {height}px; overflow: hidden; text-overflow: ellipsis }}
  figure.rejected img {{ opacity: .25 }}
  figure.rejected::after {{ content: "\\00d7"; position: absolute; inset: 0; font-size: 70px; color: #c22f2f }}
  figure:focus-visible {{ outline: 3px solid #2f5d9b }}
</style>
<header><h1>{title}</h1><span><b id="count">0</b> of {total} rejected. Click a {what} to reject it, again to keep
it.</span><button id="clear">Keep all</button><button id="export">Export {name}</button></header>
<main>
{figures}
</main>
<script>
  const key = {key}, figures = [...document.querySelectorAll("figure")];
  const given = {rejected}, read = key => JSON.parse(localStorage.getItem(key)) || [];
  let rejected = new Set(given);
  try {{
    const before = new Set(read(key + " given"));  // clicks stay, but for what the page's list changed since
    rejected = new Set([...read(key).filter(id => !before.has(id) || given.includes(id)),
      ...given.filter(id => !before.has(id))]);
    localStorage.setItem(key + " given", JSON.stringify(given));
  }} catch {{}}
  function show() {{
    for (const figure of figures) {{
      const out = rejected.has(figure.dataset.id);
      figure.classList.toggle("rejected", out);
      figure.setAttribute("aria-pressed", out);
    }}
    document.getElementById("count").textContent = figures.filter(f => rejected.has(f.dataset.id)).length;
    try {{ localStorage.setItem(key, JSON.stringify([...rejected])) }} catch {{}}
  }}
  function toggle(id) {{ rejected.has(id) ? rejected.delete(id) : rejected.add(id); show() }}
  for (const figure of figures) {{
    figure.addEventListener("click", () => toggle(figure.dataset.id));
    figure.addEventListener("keydown", event => {{
      if (event.key === "Enter" || event.key === " ") {{ event.preventDefault(); toggle(figure.dataset.id) }}
    }});
  }}
  document.getElementById("clear").addEventListener("click", () => {{ rejected.clear(); show() }});
  document.getElementById("export").addEventListener("click", () => {{
    const needsQuotes = /^["\\s]|\\s$|[,\\t\\n\\r]| \\/\\//;
    const ids = figures.map(f => f.dataset.id).filter(id => rejected.has(id))
      .map(id => needsQuotes.test(id) ? `"${{id.replaceAll('"', '""')}}"` : id);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(ids.map(id => id + "\\n"), {{type: "text/plain"}}));
    link.download = {file};
    link.click();
  }});
  show();
</script>
</html>
"""


def culling_sheet(*, portraits: Path, dataset: str, shard: str, page: Path) -> None:
    """Makes a page of a shard's portraits that needs no server: a click rejects, a button exports.

    Args:
        portraits: the shard of portraits.
        dataset: the dataset, for the title.
        shard: the shard's number, for the title and the exported file's name.
        page: the page, HTML.
    """
    html_page = render_sheet(dataset, shard, read_rows([portraits], ["id", "image"]))
    with atomic_write(page) as tmp:
        tmp.write_text(html_page)
    log.info("%d portraits", count_rows([portraits]))


def render_sheet(dataset: str, shard: str, rows: Iterable[dict]) -> str:
    """The HTML page of a shard: thumbnails in a grid; a click rejects, a button exports.

    The exported file, `rejected-<shard>.txt`, has an id a line, for `read_rejected`. The browser stores the clicks.

    Args:
        dataset: for the title.
        shard: for the title and the exported file's name.
        rows: of the shard, with `id` and `image`.
    """
    return render_page(f"{dataset}, shard {shard}", f"facemill {dataset} {shard}", shard, rows, "portrait")


def render_page(title: str, key: str, name: str, rows: Iterable[dict], what: str, rejected: Sequence[str] = ()) -> str:
    """An HTML page of images that a click rejects.

    Args:
        title: of the page.
        key: by which the browser stores the clicks, and the ids that were rejected already.
        name: of the exported file, `rejected-<name>.txt`.
        rows: with `id` and `image`.
        what: an image is, for the user.
        rejected: ids that are rejected already.
    """
    figures = [_figure(row["id"], row["image"]["bytes"]) for row in rows]
    file = f"rejected-{name}.txt"
    return _PAGE.format(
        title=html.escape(title),
        height=THUMBNAIL,
        total=len(figures),
        name=file,
        figures="\n".join(figures),
        key=json.dumps(key),
        file=json.dumps(file),
        what=what,
        rejected=json.dumps(list(rejected)),
    )


def _figure(portrait_id: str, encoded: bytes) -> str:
    pixels = decode_image(encoded)
    scale = THUMBNAIL / pixels.shape[0]
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    data, name = base64.b64encode(encode_jpeg(small, 80)).decode(), html.escape(portrait_id)
    return (
        f'<figure data-id="{name}" tabindex="0" role="button" aria-pressed="false" title="{name}">'
        f'<img alt="{name}" src="data:image/jpeg;base64,{data}"><figcaption>{name}</figcaption></figure>'
    )


def read_lists(paths: Sequence[Path], key: str = "portraits.rejected_ids") -> set[str]:
    """The ids in lists that culling sheets exported. Raises `UserError`, with the key that names them, for others."""
    ids: set[str] = set()
    for path in paths:
        try:
            ids |= read_rejected(read_text(path), str(path), key)
        except OSError as error:
            raise UserError(f"{key}: {path}: {error.strerror}") from error
        except ValueError as error:
            raise UserError(f"{key}: {path}: {error}") from error
    return ids


def read_rejected(text: str, source: str, key: str = "portraits.rejected_ids") -> set[str]:
    """The ids of an exported list, an id a line, in any spelling of `as_key`.

    An id may be in double quotes, as spreadsheets write cells; it must be where it has a comma, a tab, a line break,
    space at its ends, or what begins a comment. Empty lines and comments after a space and `//` are skipped, and empty
    cells after an id.

    Raises `UserError` with the key's and the source's name when a line holds more than an id.
    """
    ids, place = set(), 0
    text = re.sub(r"\r\n?", "\n", text)
    while place < len(text):
        entry = _ENTRY.match(text, place)
        if entry is None:
            line = text[place:].partition("\n")[0]
            accepted = "one id a line, in double quotes where a comma or a tab is in it"
            raise UserError(f"{key}: {source}: found {line[:60]!r}; accepted: {accepted}")
        quoted, plain = entry.groups()
        ids.add(as_key(plain.strip() if quoted is None else quoted.replace('""', '"')))
        place = entry.end()
    return ids - {""}
