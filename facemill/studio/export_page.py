"""The studio as one HTML file that paints without Python and without a network, by ONNX Runtime Web."""

import base64
import gzip
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from facemill.data.shards import encode_jpeg
from facemill.errors import UserError
from facemill.files import atomic_write
from facemill.imaging.colors import MIN_PIXELS, region_ids
from facemill.latent.attributes import GROUPS
from facemill.log import log
from facemill.studio.collection import CollectionPortrait, thumbnails
from facemill.studio.export_onnx import gaugan_to_onnx
from facemill.studio.onnxruntime_web import NOTICE, onnxruntime_web
from facemill.studio.painting import Studio
from facemill.studio.paths import Paths
from facemill.studio.policy import inline_sources

ENGINE = Path(__file__).with_name("exported.js")
SEAM = "const EXPORTED = null;"
"""What the page's script says of its engine in the studio itself."""

SCRIPT, HEAD = '<script type="module">', '<meta charset="utf-8">'
"""Where its script begins, and what its head begins with."""

PORTRAITS = 12
"""Portraits of the collection whose masks and styles are in the page."""


def export_page(paths: Paths, page: str, path: Path) -> None:
    """Writes the studio's page with GauGAN and ONNX Runtime Web in it; it forbids itself all network.

    Of the collection it holds a few masks and style codes, with thumbnails that GauGAN paints of them: no picture.

    Args:
        paths: the files of the studio.
        page: the studio's page, which has one script and one style sheet.
        path: the HTML file.

    Raises:
        UserError: A model is missing, `path` is a folder, or ONNX Runtime Web can neither be fetched nor is cached.
    """
    if path.is_dir():
        raise UserError(f"--export {path}: a folder; accepted: an HTML file, such as {path / 'page.html'}")
    runtime, wasm = onnxruntime_web()
    studio = Studio.load(paths)
    model = gaugan_to_onnx(paths.model).SerializeToString()
    data = json.dumps(_data(studio), ensure_ascii=False).replace("<", "\\u003c")
    page = _replace(page, SEAM, f"{ENGINE.read_text('utf-8')}\nconst EXPORTED = exportedEngine({data});")
    policy = _policy(page)
    elements = "\n".join(
        f'<script type="text/plain" id="exported-{name}">{_packed(content)}</script>'
        for name, content in {"runtime": runtime, "wasm": wasm, "model": model}.items()
    )
    page = _replace(_replace(page, SCRIPT, f"{elements}\n{SCRIPT}"), HEAD, f"{HEAD}\n{policy}\n<!--\n{NOTICE}\n-->")
    with atomic_write(path) as tmp:
        tmp.write_text(page, "utf-8")
    log.info("%s: %.1f MB; opens in a browser, without Python or network", path, path.stat().st_size / 1e6)


def _replace(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise ValueError(f"the page holds {text.count(old)} times {old!r}; accepted: once")
    return text.replace(old, new)


def _data(studio: Studio) -> dict[str, Any]:
    """All that the page's engine knows, for JSON."""
    generator, vectors, name = studio.painter.generator, studio.vectors, "/".join(studio.paths.model.parts[-2:])
    masked = [number for number, portrait in enumerate(studio.collection) if portrait.mask.size]
    portraits = [_painted(studio, number) for number in masked[:PORTRAITS]]
    hello = studio.hello() | {"model": name, "portraits": len(portraits), "segments": False, "encodes": False}
    sheet = thumbnails(portraits)
    ids, palettes = region_ids(studio.classes), studio.sliders.palettes if studio.sliders else {}
    return {
        "hello": hello | {"review": 0, "labelled": None, "out": None},
        "styles": {"mean": generator.style_mean.tolist(), "scale": generator.style_scale.tolist()},
        "vectors": {
            "groups": [{"name": group, "names": names} for group, names in (vectors.groups if vectors else {}).items()],
            "pairs": {f"{a}.{b}": v.tolist() for (a, b), v in vectors.pairs.items() if a < b} if vectors else {},
            "booleans": {key: v.tolist() for key, v in vectors.booleans.items()} if vectors else {},
        },
        "regions": [
            {
                "group": group,
                "ids": ids[GROUPS[group]],
                "least": MIN_PIXELS,
                "palette": [
                    {"name": name, "colors": colors.tolist()} for name, colors in palettes.get(group, {}).items()
                ],
            }
            for group in (vectors.groups if vectors else {})
        ],
        "portraits": [{"name": p.name, "z": p.z, "mask": _packed(p.mask.tobytes())} for p in portraits],
        "sheet": {"header": sheet.header, "jpeg": base64.b64encode(sheet.body).decode()},
        "about": {
            "facemill": version("facemill"),
            "model": name,
            "sha256": studio.digests,
            "classes": list(studio.classes.names),
        },
    }


def _painted(studio: Studio, number: int) -> CollectionPortrait:
    """A portrait of the collection as GauGAN paints it, at its size: with its mask and style, else style `number`."""
    portrait = studio.portrait(number)
    z = torch.tensor([portrait.z]) if portrait.z is not None else studio.painter.random_styles(1, number)
    mask = studio.fit(portrait.mask)
    pixels = studio.painter.generate(torch.from_numpy(mask.copy())[None], z)[0]
    return CollectionPortrait(f"portrait {number}", encode_jpeg(pixels), mask, portrait.z)


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def _policy(page: str) -> str:
    """A content security policy by which the page's own script and style run, and nothing is fetched from anywhere."""
    script, style = inline_sources(page, "script"), inline_sources(page, "style")
    rules = f"default-src 'none'; script-src {script} 'wasm-unsafe-eval'; worker-src blob:; style-src {style}"
    rules += "; img-src blob: data:; base-uri 'none'; form-action 'none'"
    return f'<meta http-equiv="Content-Security-Policy" content="{rules}">'
