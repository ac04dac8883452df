"""The mark of synthetic pictures and films: what made them, in their metadata, and a visible word in a corner.

The metadata are IPTC's digital source type (https://cv.iptc.org/newscodes/digitalsourcetype/, in the property
`Iptc4xmpExt:DigitalSourceType` of the IPTC Photo Metadata Standard 2023.2), the software, and the SHA-256 of its models
and of the files that went in, as XMP (ISO 16684-1). It lies where part 3 of the XMP specification puts it: in PNG in a
chunk iTXt, in JPEG in a segment APP1; films have it as a tag, beside others that players show.
"""

import hashlib
import io
import json
import mimetypes
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args
from xml.sax.saxutils import quoteattr

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from facemill.data.film_previews import tags_in
from facemill.data.image_files import IMAGE_ERRORS, check_pixels
from facemill.data.png import SIGNATURE, XMP_KEYWORD, chunk, chunks
from facemill.errors import UserError, first_line
from facemill.files import atomic_write, sha256, write_json

SourceType = Literal["compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia", "algorithmicMedia"]
"""Terms of IPTC's vocabulary: edited by a trained model, made by one, made by a program without one."""

VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"

_NAMESPACES = {
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "facemill": "urn:facemill:mark/",
}
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_JPEG_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
_MOST_XMP = 1 << 24  # bytes of a packet that is parsed
_WORD = "synthetic"


def _software() -> str:
    return f"Facemill {version('facemill')}"


@dataclass(frozen=True)
class Mark:
    """What made a picture or a film."""

    source_type: SourceType
    models: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each model by its file's name."""
    ingredients: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each picture or film that went in, by its file's name."""
    software: str = field(default_factory=_software)

    @property
    def uri(self) -> str:
        """The source type as IPTC's address."""
        return VOCABULARY + self.source_type


def hashes(paths: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of each file by its name, for a mark; of a folder, of `sha256sum`'s lines for its files by name."""
    digests = {}
    for path in paths:
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.is_file())
            lines = "".join(f"{sha256(file)}  {readable(file.name)}\n" for file in files)
            digests[readable(path.name)] = hashlib.sha256(lines.encode()).hexdigest()
        else:
            digests[readable(path.name)] = sha256(path)
    return digests


def readable(name: str) -> str:
    """A file's name as text, where a name of other bytes than UTF-8 is not."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def xmp(mark: Mark) -> str:
    """The mark as an XMP packet; names of files are escaped, so that it is ASCII."""
    properties = {
        "Iptc4xmpExt:DigitalSourceType": mark.uri,
        "xmp:CreatorTool": mark.software,
        "facemill:models": json.dumps(mark.models),
        "facemill:ingredients": json.dumps(mark.ingredients),
    }
    spaces = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items())
    values = "".join(f" {name}={quoteattr(value)}" for name, value in properties.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF xmlns:rdf="{_RDF}"><rdf:Description rdf:about=""{spaces}{values}/></rdf:RDF></x:xmpmeta>'
        '<?xpacket end="r"?>'
    )


def film_tags(mark: Mark) -> dict[str, str]:
    """The mark as tags of a film: what a person reads, what programs look for, and all of it as XMP.

    `comment` outlives a copy into another container, which drops tags that it does not know.
    """
    comment = f"{_WORD}: {mark.uri}, {mark.software}"
    return {"comment": comment, "digital_source_type": mark.uri, "software": mark.software, "xmp": xmp(mark)}


def mark_png(png: bytes, mark: Mark) -> bytes:
    """A PNG with the mark; its pixels stay, an earlier XMP packet is replaced. Raises `ValueError` for other files."""
    keyword = XMP_KEYWORD.encode() + b"\0"
    text = keyword + b"\0\0\0\0" + xmp(mark).encode()  # uncompressed, no language, no translated keyword
    header, *others = chunks(png)
    rest = [chunk(kind, data) for kind, data in others if not (kind == b"iTXt" and data.startswith(keyword))]
    return b"".join((SIGNATURE, chunk(*header), chunk(b"iTXt", text), *rest))


def write_marked(path: Path, pixels: np.ndarray, mark: Mark) -> None:
    """Writes a picture, uint8 RGB (H, W, 3), as PNG with a mark in its metadata."""
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    with atomic_write(path) as tmp:
        tmp.write_bytes(mark_png(png.getvalue(), mark))


def mark_jpeg(jpeg: bytes, mark: Mark) -> bytes:
    """A JPEG with the mark; its pixels stay, an earlier XMP packet is replaced. Raises `ValueError` for other files."""
    if not jpeg.startswith(b"\xff\xd8\xff"):
        raise ValueError("not a JPEG")
    packet = _JPEG_HEADER + xmp(mark).encode()
    if len(packet) > 65533:
        raise ValueError(f"{len(packet)} bytes of XMP, accepted: up to 65533 in a JPEG")
    first: list[bytes] = []
    rest: list[bytes] = []
    place = 2
    while re.fullmatch(rb"\xff[\xe0-\xef]", jpeg[place : place + 2]):  # the segments of applications
        end = place + 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
        segment, place = jpeg[place:end], end
        if not segment[4:].startswith(_JPEG_HEADER):  # JFIF's and Exif's segments come first
            (first if segment[1] == 0xE0 or segment[4:].startswith(b"Exif\0") else rest).append(segment)
    marked = b"\xff\xe1" + (len(packet) + 2).to_bytes(2, "big") + packet
    return b"".join((jpeg[:2], *first, marked, *rest, jpeg[place:]))


def draw_mark(pixels: np.ndarray) -> np.ndarray:
    """A copy of a picture, uint8 RGB (H, W, 3), with the word "synthetic" in its lower left corner.

    The letters, a sixteenth of the picture high but at least 9 pixels and never wider than the picture, are white on
    a dark plate, so that they can be read on any background.
    """
    height, width = pixels.shape[:2]
    letters = _letters()
    tall = min(max(9, height // 16), height, max(1, width * letters.shape[0] // letters.shape[1]))
    wide = min(width, max(1, round(tall * letters.shape[1] / letters.shape[0])))
    alpha = cv2.resize(letters, (wide, tall), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
    marked = pixels.copy()
    corner = marked[height - tall :, :wide]
    corner[:] = np.rint(corner * 0.3 * (1 - alpha) + 255 * alpha)
    return marked


def _letters() -> np.ndarray:
    """The word in white on black, uint8 (H, W), larger than it is needed."""
    (width, height), base = cv2.getTextSize(_WORD, cv2.FONT_HERSHEY_SIMPLEX, 2, 6)
    picture = np.zeros((height + base + 20, width + 24), np.uint8)
    return cv2.putText(picture, _WORD, (12, height + 10), cv2.FONT_HERSHEY_SIMPLEX, 2, 255, 6, cv2.LINE_AA)


def write_claim(path: Path, mark: Mark) -> Path:
    """Writes what C2PA would sign about a film beside it, as `NAME.mp4.json`, and returns that path.

    It has the form of the manifests that `c2pa-python` and `c2patool` take together with a certificate. The first
    ingredient of a composite is what was edited. Ingredients and models bear their SHA-256 as instance ids, and the
    assertion `facemill.mark` repeats them by name.
    """
    software = dict(zip(("name", "version"), mark.software.split(" ", 1), strict=False))
    edited = mark.source_type.startswith("composite") and bool(mark.ingredients)
    parts = [(name, digest, "componentOf") for name, digest in mark.ingredients.items()]
    if edited:
        parts[0] = (*parts[0][:2], "parentOf")
    parts += [(name, digest, "inputTo") for name, digest in mark.models.items()]
    labels = [str(number) for number in range(len(parts))]
    made = {"action": "c2pa.created", "digitalSourceType": mark.uri, "softwareAgent": software}
    if edited:  # the specification wants an action first that opens
        made["action"] = "c2pa.edited"
    actions = [{"action": "c2pa.opened", "parameters": {"ingredientIds": labels[:1]}}] if edited else []
    if others := labels[len(actions) :]:
        made["parameters"] = {"ingredientIds": others}
    claim = {
        "claim_generator_info": [software],
        "title": readable(path.name),
        "format": _format_of(path.name),
        "ingredients": [
            {
                "title": name,
                "format": _format_of(name),
                "relationship": relationship,
                "label": label,
                "instance_id": f"sha256:{digest}",
            }
            for label, (name, digest, relationship) in zip(labels, parts, strict=True)
        ],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [*actions, made]}},
            {"label": "facemill.mark", "data": {"models": mark.models, "ingredients": mark.ingredients}},
        ],
    }
    beside = path.with_name(f"{path.name}.json")
    write_json(beside, claim)
    return beside


def _format_of(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def read_mark(path: Path) -> Mark | None:
    """The mark in a picture or film, by other software too, if its XMP has one of these source types; None without.

    Raises `UserError` for what is neither a picture nor a film.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; accepted: a picture or a film")
    try:
        with Image.open(path) as picture:
            return _mark_of_picture(picture)
    except UnidentifiedImageError:
        return _mark_of_film(path)
    except IMAGE_ERRORS as error:
        raise UserError(f"{path}: cannot be read ({first_line(error)}); accepted: a picture or a film") from error


def _mark_of_picture(picture: Image.Image) -> Mark | None:
    if picture.format == "PNG" and "xmp" not in picture.info:  # other software puts it behind the pixels
        check_pixels(picture)
        picture.load()
    comment = picture.info.get("comment", "")
    text = comment.decode("utf-8", "replace") if isinstance(comment, bytes) else comment
    return _parse(picture.info.get("xmp", b"")) or _parse(tags_in(text).get("xmp", "")) or _named(text)


def _mark_of_film(path: Path) -> Mark | None:
    from facemill.data.film_frames import open_film  # loads FFmpeg, which pictures do not need

    with open_film(path) as (film, _):
        tags = {key.lower(): value for key, value in film.metadata.items()}  # Matroska has them in capitals
    marks = (_parse(tags.get("xmp", "")), *map(_named, tags.values()))
    return next((mark for mark in marks if mark), None)


def _named(text: str) -> Mark | None:
    """The mark in a text that names one of the source types by its address."""
    match = re.search(rf"https?://cv\.iptc\.org/newscodes/digitalsourcetype/({'|'.join(get_args(SourceType))})\b", text)
    software = re.search(r", (Facemill \S+)$", text)
    return Mark(match[1], software=software[1] if software else "") if match else None  # type: ignore[arg-type]


def _parse(packet: Any) -> Mark | None:
    """The mark in an XMP packet, as bytes or text; None where it has none, or is no XML."""
    packet = packet if isinstance(packet, bytes) else str(packet).encode("utf-8", "replace")
    if not packet or len(packet) > _MOST_XMP or b"<!DOCTYPE" in packet:  # entities, which XMP does not have
        return None
    try:
        root = ET.fromstring(packet.strip(b"\0 \n\r\t"))
    except (ET.ParseError, ValueError, LookupError):
        return None
    named = _named(_property(root, "Iptc4xmpExt", "DigitalSourceType"))
    if named is None:
        return None
    models, ingredients = (tags_in(_property(root, "facemill", name)) for name in ("models", "ingredients"))
    return Mark(named.source_type, models, ingredients, _property(root, "xmp", "CreatorTool"))


def _property(root: ET.Element, prefix: str, name: str) -> str:
    """A simple property of XMP in any of its three forms: an attribute, an element, or an element's resource."""
    tag = f"{{{_NAMESPACES[prefix]}}}{name}"
    for element in root.iter():
        value = element.get(tag)
        if element.tag == tag:
            value = element.get(f"{{{_RDF}}}resource") or element.text
        if value:
            return value.strip()
    return ""
