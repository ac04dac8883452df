"""Frames of films and of folders of images: upright, in RGB, each with the time that its film gives it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, cast

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideData
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from facemill.data.image_files import read_rgb
from facemill.data.walk import IMAGE_SUFFIXES, files_in
from facemill.errors import UserError, first_line
from facemill.log import log

FOLDER_RATE = Fraction(12)
"""Frames a second of a folder of images, which have no times."""

_UNKNOWN = 2  # of color spaces, ITU-T H.273
_EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT  # else 1.3 levels darker
_TS_DISCONT = 0x0200  # AVFMT_TS_DISCONT of a format's flags
_HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics of H.273


@dataclass(frozen=True)
class Frame:
    """A frame of a film."""

    number: int
    """Of the frames before it that could be read."""
    pts: int
    """Presentation time in units of `time_base`; larger than that of the frame before."""
    time_base: Fraction
    """In seconds."""
    pixels: np.ndarray
    """uint8 RGB (H, W, 3), upright, square pixels."""

    @property
    def time(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)


@dataclass(frozen=True)
class About:
    """What a film's header and its first frame tell. Frames are not counted: headers are often wrong about them."""

    width: int
    """Of the upright frames, in pixels."""
    height: int
    rate: Fraction | None
    """Mean number of frames a second; None for a folder."""
    duration: float | None
    """In seconds."""
    sound: bool


def about(path: Path) -> About:
    """Size, rate, duration and sound of a film, or of a folder of images.

    Raises:
        UserError: as `frames`.
    """
    first = next(iter(frames(path)))
    height, width = first.pixels.shape[:2]
    if path.is_dir():
        return About(width, height, None, None, sound=False)
    with open_film(path) as (film, stream):
        ticks, base = (stream.duration, stream.time_base) if stream.duration else (film.duration, Fraction(1, 10**6))
        duration = float(ticks * base) if ticks and base else None
        return About(width, height, stream.average_rate or stream.guessed_rate, duration, bool(film.streams.audio))


def frames(path: Path, *, rate: Fraction = FOLDER_RATE) -> Iterator[Frame]:
    """Yields the frames of a film that FFmpeg reads, or of a folder of images in natural order.

    Frames and images that are damaged are skipped, and counted in the log.

    Args:
        path: the film or folder.
        rate: frames a second of a folder.

    Raises:
        UserError: It is no film, has no pictures, not a single frame that can be read, or frames of several sizes.
    """
    if not path.exists():
        raise UserError(f"{path}: no such film or folder")
    size = None
    for frame in _folder_frames(path, rate) if path.is_dir() else _film_frames(path):
        size = size or frame.pixels.shape
        if frame.pixels.shape != size:
            raise UserError(
                f"{path}: frame {frame.number} has {_size(frame.pixels.shape)} pixels, those before it {_size(size)}; "
                "accepted: frames of one size"
            )
        yield frame
    if size is None:
        raise UserError(f"{path}: not a single frame can be read; accepted: films with frames")


@contextmanager
def open_film(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Opens a film and finds its stream of pictures; covers of sound files are none.

    Raises:
        UserError: as `frames`.
    """
    try:
        film = av.open(film_url(path), "r", metadata_errors="replace", options={"protocol_whitelist": "file"})
    except (av.error.FFmpegError, OSError) as error:
        raise UserError(f"{path}: not a film ({reason(error)}); accepted: what FFmpeg reads") from error
    with film:
        if film.format.name == "tty":
            raise UserError(f"{path}: not a film (a text); accepted: what FFmpeg reads")
        cover = av.stream.Disposition.attached_pic.value
        pictures = [stream for stream in film.streams.video if not stream.disposition.value & cover]
        if not pictures or not pictures[0].codec_context:
            kinds = ", ".join(sorted({f"only {stream.type}" for stream in film.streams})) or "an empty film"
            raise UserError(f"{path}: no pictures that can be read ({kinds}); accepted: films")
        yield film, pictures[0]


def film_url(path: Path) -> str:
    """A path as FFmpeg takes it literally: colons begin no protocol."""
    return f"file:{path}"


def reason(error: Exception) -> str:
    """FFmpeg's reason alone, without its number and the file's name."""
    return str(getattr(error, "strerror", None) or first_line(error))


def start_of(film: InputContainer) -> Fraction:
    """The time in seconds at which a film's clock begins; 0 but for MPEG streams, whose clocks run from anywhere."""
    return Fraction(film.start_time or 0, 10**6) if film.format.flags & _TS_DISCONT else Fraction(0)


def _film_frames(path: Path) -> Iterator[Frame]:
    number, damaged, late, last, depth = 0, 0, 0, None, ""
    reformatter = VideoReformatter()  # one for the film: its tables take a second for HDR
    with open_film(path) as (film, stream):
        base = stream.time_base or Fraction(1, 1000)
        step = max(round(1 / (stream.average_rate or FOLDER_RATE) / base), 1)
        start = round(start_of(film) / base)
        for decoded in _decoded(film, stream, path):
            if decoded is None:
                damaged += 1
                continue
            depth = _depth(decoded)
            pts = decoded.pts - start if decoded.pts is not None else 0 if last is None else last + step
            if last is not None and pts <= last:
                pts, late = last + 1, late + 1
            yield Frame(number, pts, base, _upright(decoded, stream, reformatter))
            number, last = number + 1, pts
    if depth:
        log.warning("%s: %s, converted to 8", path, depth)
    if damaged:
        log.warning("%s: %d damaged packets are skipped, %d frames are read", path, damaged, number)
    if late:
        log.warning("%s: the times of %d frames do not grow, and are mended", path, late)


def _decoded(film: InputContainer, stream: VideoStream, path: Path) -> Iterator[VideoFrame | None]:
    """The decoded frames, None for each damaged packet."""
    packets, count = film.demux(stream), 0
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            count += packet.size > 0
            decoded = stream.decode(packet)
        except av.error.EOFError:
            break
        except av.error.FFmpegError:
            yield None
            continue
        yield from decoded
    with suppress(av.error.FFmpegError):  # what a damaged end left in the decoder
        yield from stream.decode(None)
    if count < stream.frames:
        log.warning("%s: cut short, %d frames of the %d that its header names are there", path, count, stream.frames)


def _folder_frames(folder: Path, rate: Fraction) -> Iterator[Frame]:
    if rate <= 0:
        raise UserError(f"rate {rate}: accepted: above 0 frames a second")
    number, faults = 0, []
    listed = files_in("film", folder, IMAGE_SUFFIXES, "image")
    for pts, file in enumerate(sorted(listed, key=lambda file: natural_key(file.name))):
        try:
            pixels = np.asarray(read_rgb(Path(file.path)))
        except ValueError as error:
            faults.append(f"{file.name}: {error}")
            continue
        yield Frame(number, pts, 1 / Fraction(rate), pixels)
        number += 1
    if faults:
        log.warning("%s: %d images are skipped, the first: %s", folder, len(faults), faults[0])


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sorts names as people do: `frame2` before `frame10`."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts], name


def _upright(frame: VideoFrame, stream: VideoStream, reformatter: VideoReformatter) -> np.ndarray:
    space = frame.colorspace
    if space == _UNKNOWN:  # as players guess
        space = Colorspace.ITU709 if frame.width >= 1280 or frame.height > 576 else Colorspace.ITU601
    width = frame.width
    if ratio := stream.sample_aspect_ratio:
        width = 2 * round(width * ratio / 2)
    alpha = any(component.is_alpha for component in frame.format.components)
    kind: Literal["rgba", "rgb24"] = "rgba" if alpha else "rgb24"
    tone: dict[str, Any] = {}
    if frame.color_trc in _HDR:
        frame.color_primaries = frame.color_primaries if frame.color_primaries != _UNKNOWN else ColorPrimaries.BT2020
        tone = {"dst_color_trc": ColorTrc.IEC61966_2_1, "dst_color_primaries": ColorPrimaries.BT709}
    pixels = reformatter.reformat(
        frame, format=kind, width=width, src_colorspace=space, interpolation=_EXACT, **tone
    ).to_ndarray()
    if alpha:
        share = pixels[..., 3:].astype(np.uint16)
        pixels = ((pixels[..., :3] * share + 255 * (255 - share) + 127) // 255).astype(np.uint8)
    return _turned(pixels, frame)


def _turned(pixels: np.ndarray, frame: VideoFrame) -> np.ndarray:
    """Turned and flipped as the display matrix says, which decoders leave to players.

    The matrix takes a point (x, y) to (a x + c y, b x + d y): ISO/IEC 14496-12, section 6.2.2.
    """
    side_data = cast(Any, frame.side_data)
    if SideData.DISPLAYMATRIX not in side_data:
        return pixels
    a, b, _, c, d = np.frombuffer(bytes(side_data[SideData.DISPLAYMATRIX]), np.int32)[:5].tolist()
    if abs(b) > abs(a):
        pixels, flip_x, flip_y = pixels.transpose(1, 0, 2), c < 0, b < 0
    else:
        flip_x, flip_y = a < 0, d < 0
    return np.ascontiguousarray(pixels[:: -1 if flip_y else 1, :: -1 if flip_x else 1])


def _depth(frame: VideoFrame) -> str:
    bits = max(component.bits for component in frame.format.components)
    hdr = f", HDR ({_HDR[frame.color_trc]})" if frame.color_trc in _HDR else ""
    return f"{bits} bits{hdr}" if bits > 8 or hdr else ""


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"
