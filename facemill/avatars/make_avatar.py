"""Avatars of photos and other images, outside the workflow."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from facemill.avatars.composing import Avatar, Matched, make, part_colors, png
from facemill.avatars.matching import Library
from facemill.avatars.photos import Collection, segmented
from facemill.avatars.regions import cut_parts
from facemill.avatars.render_parts import render_parts
from facemill.avatars.statistics import Statistics
from facemill.avatars.styles import DrawingStyle
from facemill.data.walk import IMAGE_SUFFIXES, check_out, files_in
from facemill.errors import UserError, list_faults
from facemill.files import atomic_write, sha256, write_json
from facemill.inference.segmenter import Segmenter
from facemill.log import log, progress

MOST = 4096
"""Pixels on the side of a PNG at most."""


def make_avatar(
    *,
    image: Path,
    unet: Path,
    style: list[str],
    out: Path,
    parts: Path | None = None,
    statistics: Path | None = None,
    cascade: Path | None = None,
    background: str | None = None,
    size: int = 512,
    looks: int = 8,
) -> None:
    """Makes the avatars of a photo, or of each image of a folder and its subfolders.

    For each image and style there are NAME-STYLE.svg, NAME-STYLE.png and NAME-STYLE.json: the options from which
    DiceBear draws the same bytes again, what was matched and how surely, colors, creator and license. Images of which
    no avatar can be made are listed at the end; the exit status is then 1.

    Args:
        image: an image file, or a folder of them; any sizes.
        unet: the U-Net, a safetensors file or the folder that holds it.
        style: drawing styles: names in the package dicebear-styles, `emoji`, or paths of definitions (JSON).
        out: folder of the avatars, apart from a folder of images.
        parts: folder of the styles' parts, for example results/sample/avatars/parts; a style without parts there is
            rendered first, in half a minute or more.
        statistics: of the parts of the collection that the U-Net knows; by default statistics.safetensors beside
            `parts`. Without any, parts are compared as they are, and fewer kinds are chosen.
        cascade: OpenCV's cascade of faces (XML): portraits are cropped to the largest face. By default they are
            cropped as those of the U-Net's collection were, where its results lie around it, or else in the middle.
        background: color of the background, such as "#a0b1c2"; by default it is transparent.
        size: side of the PNGs in pixels.
        looks: slightly moved looks at the portrait whose mean is compared.
    """
    styles = _styles(style)
    paths = _paths(image, out, styles)
    _check(size, looks, background)
    segmenter, collection = Segmenter.load(unet), Collection.of(unet, cascade)
    libraries, known = _libraries(styles, parts, looks), _statistics(statistics, parts)
    hashes = {"unet": sha256(unet / "model.safetensors" if unet.is_dir() else unet)}
    faults: list[tuple[Path, str]] = []
    with ThreadPoolExecutor(2) as pool:
        for path, portrait in progress(segmented(paths, collection, segmenter, pool), "make_avatar", len(paths)):
            if isinstance(portrait, ValueError):
                faults.append((path, str(portrait)))
                continue
            found = cut_parts(*portrait, looks=looks)
            colors = part_colors({role: part.lab for role, part in found.items()})
            sources = hashes | {"image": sha256(path)}
            for name, library in libraries.items():
                avatar = make(found, colors, library, known or library.statistics, background=background, size=size)
                _write(out / f"{paths[path]}-{name}", avatar, library.style, sources)
    log.info("%d avatars in %s", (len(paths) - len(faults)) * len(libraries), out)
    if faults:
        raise UserError("\n  ".join([f"{len(faults)} of {len(paths)} images have no avatar:", *list_faults(faults)]))


def _check(size: int, looks: int, background: str | None) -> None:
    if not 1 <= size <= MOST:
        raise UserError(f"--size {size}: accepted: 1 to {MOST}")
    if looks < 1:
        raise UserError(f"--looks {looks}: accepted: 1 or more")
    if background and not re.fullmatch("#[0-9a-fA-F]{6}", background):
        raise UserError(f"--background {background}: accepted: a color such as '#a0b1c2'")


def _styles(styles: Sequence[str]) -> dict[str, str]:
    """The styles, each as it was given, by name."""
    names: dict[str, str] = {}
    for style in styles:
        name = Path(style).stem if style.endswith(".json") else style
        if name in names:
            raise UserError(f"--style: {names[name]} and {style} have one name; accepted: styles of different names")
        names[name] = style
    return names


def _statistics(path: Path | None, parts: Path | None) -> Statistics | None:
    """The collection's statistics, those beside the folder of parts where none are named; None where there are none."""
    if path is None and parts and (beside := parts.absolute().parent / "statistics.safetensors").exists():
        path = beside
    if path:
        return Statistics.load(path)
    log.warning(
        "make_avatar: without --statistics of a collection parts are compared as they are, and fewer are chosen"
    )
    return None


def _paths(image: Path, out: Path, styles: Iterable[str]) -> dict[Path, str]:
    """The images, each with the name of its avatars in `out`: a path where images lie in subfolders."""
    if not image.is_dir():
        if not image.exists():
            raise UserError(f"--image {image}: no such file or folder")
        return {image: image.stem}
    files = files_in("--image", image, IMAGE_SUFFIXES, "image")
    names = {Path(file.path): Path(file.name) for file in files}
    often = Counter(name.with_suffix("") for name in names.values())
    paths = {path: str(n if often[n.with_suffix("")] > 1 else n.with_suffix("")) for path, n in names.items()}
    check_out("--image", image, out, [out / f"{name}-{s}.png" for name in paths.values() for s in styles], paths)
    return paths


def _libraries(styles: Mapping[str, str], folder: Path | None, looks: int) -> dict[str, Library]:
    """The styles' parts by name: those of a folder, or else rendered now."""
    libraries = {}
    with TemporaryDirectory() as temporary:
        for name, style in styles.items():
            is_there = folder is not None and (folder / f"{name}.parquet").exists()
            place = folder if folder and is_there else Path(temporary)
            parts, about, sheet = (place / f"{name}.{suffix}" for suffix in ("parquet", "json", "png"))
            if not is_there:
                log.info("make_avatar: the parts of %s are rendered first", name)
                render_parts(style=style, size=256, looks=looks, seed=1, parts=parts, about=about, sheet=sheet)
            libraries[name] = Library.load(parts, about)
    return libraries


def _write(path: Path, avatar: Avatar, style: DrawingStyle, hashes: dict[str, str]) -> None:
    """Writes the files of an avatar; `path` is that of all without the suffix."""
    content = {
        "style": style.name,
        "creator": style.creator,
        "license": style.license,
        "license_url": style.license_url,
        "source": style.source,
        "versions": {name: version(name) for name in ("dicebear-core", "dicebear-styles")},
        "options": avatar.options,
        "roles": {role: _told(matched) for role, matched in avatar.roles.items()},
        "colors": {region: asdict(color) for region, color in avatar.colors.items()},
        "unseen": avatar.unseen,
        "sha256": hashes,
    }
    for suffix, written in ((".svg", avatar.svg.encode()), (".png", png(avatar.picture))):
        with atomic_write(path.with_name(path.name + suffix)) as tmp:
            tmp.write_bytes(written)
    write_json(path.with_name(f"{path.name}.json"), content)


def _told(matched: Matched) -> dict[str, Any]:
    nearest = [{"variants": choice, "distance": distance} for choice, distance in matched.nearest]
    return {"variants": matched.choice, "distance": matched.distance, "margin": matched.margin, "nearest": nearest}
