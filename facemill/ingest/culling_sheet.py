"""Culling sheets: a page a shard on which portraits are clicked away. One file each, no server needed."""

import base64
import html
import json
from collections.abc import Iterable

import cv2

from facemill.data.shards import decode_image, encode_jpeg
from facemill.errors import UserError

THUMBNAIL = 112
"""Height of a thumbnail in pixels."""

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
<header><h1>{title}</h1><span><b id="count">0</b> of {total} rejected. Click a portrait to reject it, again to keep
it.</span><button id="clear">Keep all</button><button id="export">Export {name}</button></header>
<main>
{figures}
</main>
<script>
  const key = {key}, figures = [...document.querySelectorAll("figure")];
  let rejected = new Set();
  try {{ rejected = new Set(JSON.parse(localStorage.getItem(key) || "[]")) }} catch {{}}
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
    const ids = figures.map(f => f.dataset.id).filter(id => rejected.has(id));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(ids.map(id => id + "\\n"), {{type: "text/plain"}}));
    link.download = {file};
    link.click();
  }});
  show();
</script>
</html>
"""


def culling_sheet(dataset: str, shard: str, rows: Iterable[dict]) -> str:
    """The page of a shard, from its rows' `id` and `image`: thumbnails in a grid, a click rejects, a button exports.

    The exported file, `rejected-<shard>.txt`, has an id a line, as `read_rejected` reads them. Clicks are kept by the
    browser until they are taken back.
    """
    figures = [_figure(row["id"], row["image"]["bytes"]) for row in rows]
    name = f"rejected-{shard}.txt"
    return _PAGE.format(
        title=html.escape(f"{dataset}, shard {shard}"),
        height=THUMBNAIL,
        total=len(figures),
        name=name,
        figures="\n".join(figures),
        key=json.dumps(f"facemill {dataset} {shard}"),
        file=json.dumps(name),
    )


def _figure(id: str, encoded: bytes) -> str:
    pixels = decode_image(encoded)
    scale = THUMBNAIL / pixels.shape[0]
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    data, name = base64.b64encode(encode_jpeg(small, 80)).decode(), html.escape(id)
    return (
        f'<figure data-id="{name}" tabindex="0" role="button" aria-pressed="false" title="{name}">'
        f'<img alt="{name}" src="data:image/jpeg;base64,{data}"><figcaption>{name}</figcaption></figure>'
    )


def read_rejected(text: str, source: str) -> set[str]:
    """The ids of an exported list, one a line; empty lines and what follows a space and `//` do not count.

    Raises `UserError` when a line holds more than an id.
    """
    ids = {line.partition(" //")[0].strip() for line in text.splitlines()}
    for id in ids:
        if "\t" in id or "," in id:
            raise UserError(f"{source}: found {id!r}; accepted: one id a line")
    return ids - {""}
