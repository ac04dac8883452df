"""Films: frames that are read, and films that are written with the times and the sound of another."""

import math
import shutil
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Literal, Protocol, Self

import av
import av.error
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from facemill.data.film_frames import FOLDER_RATE, About, Frame, about, film_url, frames, open_film, reason
from facemill.data.film_previews import ImageFolder, Preview, picture_tags
from facemill.data.film_sound import CopiedSound, EncodedSound, Sound
from facemill.errors import UserError
from facemill.files import atomic_folder, atomic_write
from facemill.log import log

__all__ = ["FOLDER_RATE", "About", "FilmWriter", "Frame", "about", "frames", "read_tags"]

Codec = Literal["h264", "vp9"]

THREADS = 2
"""Of the encoder: a fixed number, since the bytes depend on it."""

WAITING = 8
"""Frames that wait for the encoder before `write` does."""

# without x264's macroblock tree, which on a busy machine gave other bytes in 1 to 3 of 60 runs
_CODECS: dict[Codec, tuple[Literal["libx264", "libvpx-vp9"], dict[str, str]]] = {
    "h264": ("libx264", {"crf": "18", "preset": "veryfast", "x264-params": "mbtree=0"}),
    "vp9": ("libvpx-vp9", {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"}),
}
_BT709, _LIMITED = 1, 1  # matrix, primaries and transfer of ITU-T H.273; levels 16 to 235
_MAX_TIMESCALE = 10_000_000


class Sink(Protocol):
    """What the frames of a film are written by."""

    def add(self, pixels: np.ndarray, pts: int) -> None:
        """Adds a frame, uint8 RGB (H, W, 3)."""

    def finish(self) -> None:
        """Writes what is left."""

    def close(self) -> None:
        """Gives back files and memory."""


class FilmWriter:
    """Writes a film, as a context manager: beside at first, so that there is a complete film or none.

    The same frames give the same bytes. Frames are encoded in a thread of its own.

    Args:
        path: the film, `.mp4`; `.webp` or `.gif` for a short preview; without a suffix a folder of PNGs.
        like: a film whose sound is copied packet by packet; a folder has none.
        size: width and height; None for those of the first frame. Odd sides are padded by a pixel by repetition.
        rate: frames a second, for frames without times of their own; None for those of `like`, or 12.
        tags: written into the film's header, under any name.
        codec: of the pictures.
        sound: float32 samples (N,) in -1 to 1, in place of the sound of `like`.
        sound_rate: samples a second.

    Raises:
        UserError: The output is the input, is of no kind that is written, or gets not a single frame.
    """

    def __init__(
        self,
        path: Path,
        *,
        like: Path | None = None,
        size: tuple[int, int] | None = None,
        rate: Fraction | None = None,
        tags: Mapping[str, str] = MappingProxyType({}),
        codec: Codec = "h264",
        sound: np.ndarray | None = None,
        sound_rate: int = 48000,
    ) -> None:
        if like is not None and path.resolve() == like.resolve():
            raise UserError(f"{path}: would replace {like}, which is read; accepted: another path")
        self._kind = path.suffix.lower()
        if self._kind not in (".mp4", ".webp", ".gif", ""):
            raise UserError(f"{path}: {self._kind} is not written; accepted: .mp4, .webp, .gif, or a folder's name")
        if not self._kind and path.exists():
            _check_frames_only(path)
        if rate is not None and rate <= 0:
            raise UserError(f"rate {rate}: accepted: above 0 frames a second")
        self.path, self.size, self._tags, self._codec = path, size, dict(tags), codec
        info = about(like) if like else None
        self.rate = rate or (info.rate if info else None) or FOLDER_RATE
        self._like = like if info and info.sound and sound is None else None
        self._samples, self._sound_rate = sound, sound_rate
        self._waiting: deque[Future[None]] = deque()
        self._sink: Sink | None = None
        self._base, self._last = Fraction(0), -1

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        write: AbstractContextManager[Path] = atomic_write(self.path) if self._kind else atomic_folder(self.path)
        self._tmp = self._stack.enter_context(write)
        self._thread = ThreadPoolExecutor(1, "film")
        self._stack.push(self._close)
        return self

    def write(self, pixels: np.ndarray, frame: Frame | None = None) -> None:
        """Adds a frame.

        Args:
            pixels: uint8 RGB (H, W, 3), of the film's size.
            frame: gives the time; without it the frame is the next one at the film's rate.

        Raises:
            ValueError: The frame has another size, or does not come after the one before.
        """
        with self._refusals():
            self._write(pixels, frame)

    def _write(self, pixels: np.ndarray, frame: Frame | None) -> None:
        self.size = self.size or (pixels.shape[1], pixels.shape[0])
        if pixels.shape != (self.size[1], self.size[0], 3) or pixels.dtype != np.uint8:
            raise ValueError(f"{pixels.dtype} pixels {pixels.shape} in a film of {self.size[0]} x {self.size[1]}")
        if self._sink is None:
            self._base = frame.time_base if frame else 1 / Fraction(self.rate)
            self._sink = self._open(*self.size)
        pts = round(frame.pts * frame.time_base / self._base) if frame else self._last + 1
        if pts <= self._last:
            raise ValueError(f"a frame at {pts} x {self._base} s after one at {self._last}")
        self._last = pts
        if len(self._waiting) >= WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._sink.add, pixels.copy(), pts))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack, self._refusals():
            if error is not None:
                raise error
            while self._waiting:
                self._waiting.popleft().result()
            if self._sink is None:
                raise UserError(f"{self.path}: not a single frame was written")
            self._sink.finish()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """What FFmpeg refuses in one line; a full disk stays an error of the system."""
        try:
            yield
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            width, height = self.size or (0, 0)
            raise UserError(
                f"{self.path}: {width} x {height} pixels cannot be encoded ({reason(error)}); accepted: smaller frames"
            ) from error

    def _open(self, width: int, height: int) -> Sink:
        if self._kind == ".mp4":
            sound = self._like if self._samples is None else (self._samples, self._sound_rate)
            return Encoder(self._tmp, (width, height), self._base, self.rate, self._tags, self._codec, sound)
        if self._like or self._samples is not None:
            log.warning("%s: without sound, which only .mp4 has", self.path)
        if self._kind:
            return Preview(self._tmp, self._base, self.rate, self._tags)
        return ImageFolder(self._tmp, self._tags)

    def _close(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        for future in self._waiting:
            future.cancel()
        self._thread.shutdown()
        if self._sink:
            self._sink.close()
        if error is not None and not self._kind:
            shutil.rmtree(self._tmp, ignore_errors=True)


class Encoder:
    """Writes H.264 or VP9 in YUV 4:2:0 (BT.709) into an MP4 whose header comes first, and its sound along with it."""

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        base: Fraction,
        rate: Fraction,
        tags: dict[str, str],
        codec: Codec,
        sound: Path | tuple[np.ndarray, int] | None,
    ) -> None:
        options = {"movflags": "use_metadata_tags+faststart"}
        self._base, self._reformatter = base, VideoReformatter()
        self._output = av.open(film_url(path), "w", format="mp4", container_options=options)
        self._output.metadata.update(tags)
        width, height = (side + side % 2 for side in size)
        name, settings = _CODECS[codec]
        self._stream: VideoStream = self._output.add_stream(
            name, rate, settings, width=width, height=height, time_base=base
        )
        context = self._stream.codec_context
        context.thread_count = THREADS
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        self._sound: Sound | None = None
        if isinstance(sound, tuple):
            self._sound = EncodedSound(self._output, *sound)
        elif sound:
            self._sound = CopiedSound(self._output, sound)
        self._output.container_options["movie_timescale"] = str(movie_timescale(self._output, base))

    def add(self, pixels: np.ndarray, pts: int) -> None:
        """Encodes a frame, uint8 RGB (H, W, 3), and writes the sound before it."""
        height, width = pixels.shape[:2]
        even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        rgb = VideoFrame.from_ndarray(even, "rgb24")
        frame = self._reformatter.reformat(
            rgb,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=_LIMITED,
            interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND,
        )
        frame.pts, frame.time_base = pts, self._base
        if self._sound:
            self._sound.write(pts * self._base)
        self._output.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Writes the frames that the encoder holds, the remaining sound and the header."""
        self._output.mux(self._stream.encode(None))
        if self._sound:
            self._sound.write(None)
        self._output.close()

    def close(self) -> None:
        """Closes the film and what its sound is copied from, after a fault too."""
        if self._sound:
            self._sound.close()
        with suppress(Exception):  # the first error was raised
            self._output.close()


def movie_timescale(output: OutputContainer, base: Fraction) -> int:
    """Units a second in which an MP4 states by how much a stream is delayed: whole ones for every stream."""
    bases = [base, *(stream.time_base for stream in output.streams.audio if stream.time_base)]
    common = math.lcm(*(base.denominator for base in bases))
    return common if common <= _MAX_TIMESCALE else max(base.denominator for base in bases)


def read_tags(path: Path) -> dict[str, str]:
    """The tags in the header of a film, or of a preview or PNG that `FilmWriter` wrote.

    Raises:
        UserError: It is neither a film nor a picture.
    """
    with suppress(OSError):
        return picture_tags(path)
    with open_film(path) as (film, _):
        return dict(film.metadata)


def _check_frames_only(folder: Path) -> None:
    """Raises `UserError` when a folder that would be replaced holds more than the frames of a film."""
    other = next((path.name for path in folder.iterdir() if path.suffix != ".png"), None) if folder.is_dir() else "file"
    if other:
        raise UserError(f"{folder}: holds {other}, and would be replaced; accepted: a new folder")
