"""Films: frames read from them, and films written, with the times and the sound of another."""

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from facemill.data.film_frames import FOLDER_RATE, ITU709, About, Frame, about, film_url, frames
from facemill.data.film_sound import CopiedSound, EncodedSound, Sound
from facemill.errors import UserError
from facemill.files import atomic_write

__all__ = ["FOLDER_RATE", "About", "FilmWriter", "Frame", "about", "frames"]

THREADS = 2
"""Of the encoder: a fixed number, since the bytes depend on it."""
WAITING = 8
"""Frames that wait for the encoder before `write` does."""

_CODECS = {
    "h264": ("libx264", {"crf": "18", "preset": "medium"}),
    "vp9": ("libvpx-vp9", {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}),
}
_BT709 = 1  # of H.273: matrix, primaries and transfer
_LIMITED = 1  # range of 16 to 235


class FilmWriter:
    """Writes a film, as a context manager: under another name at first, so that there is a complete film or none.

    The same frames give the same bytes. Encoding runs in a thread of its own.

    Args:
        path: the film, `.mp4`.
        like: a film whose sound is copied packet by packet; a folder has none.
        size: width and height; None for those of the first frame. Odd sides are padded by a pixel by repetition.
        rate: frames a second, for frames without times of their own; None for those of `like`.
        tags: written into the film's header, under any name.
        codec: of the pictures.
        sound: float32 samples (N,) in -1 to 1, in place of the sound of `like`.
        sound_rate: samples a second.

    Raises:
        UserError: The output is the input, is of no kind that is written, or has not a single frame.
    """

    def __init__(
        self,
        path: Path,
        *,
        like: Path | None = None,
        size: tuple[int, int] | None = None,
        rate: Fraction | None = None,
        tags: Mapping[str, str] = {},  # noqa: B006
        codec: Literal["h264", "vp9"] = "h264",
        sound: np.ndarray | None = None,
        sound_rate: int = 48000,
    ) -> None:
        if like is not None and path.resolve() == like.resolve():
            raise UserError(f"{path}: would replace {like}, which is read; accepted: another path")
        if path.suffix.lower() != ".mp4":
            raise UserError(f"{path}: accepted: .mp4")
        self.path, self.like, self.size, self.tags, self.codec = path, like, size, dict(tags), codec
        self.rate = rate or (about(like).rate if like else None) or FOLDER_RATE
        self._samples, self._sound_rate = sound, sound_rate
        self._stack = ExitStack()
        self._waiting: deque[Future[None]] = deque()
        self._output: OutputContainer | None = None
        self._stream: VideoStream
        self._sound: Sound | None = None
        self._base, self._last = Fraction(0), -1

    def __enter__(self) -> Self:
        self._tmp = self._stack.enter_context(atomic_write(self.path))
        self._thread = self._stack.enter_context(ThreadPoolExecutor(1, "film"))
        return self

    def write(self, pixels: np.ndarray, frame: Frame | None = None) -> None:
        """Adds a frame.

        Args:
            pixels: uint8 RGB (H, W, 3), of the film's size.
            frame: gives the time; without it the frame is the next one at the film's rate.

        Raises:
            ValueError: The frame has another size, or does not come after the one before.
        """
        if self._output is None:
            self._open(pixels, frame.time_base if frame else 1 / self.rate)
        width, height = self.size or (0, 0)
        if pixels.shape != (height, width, 3) or pixels.dtype != np.uint8:
            raise ValueError(f"{pixels.dtype} pixels {pixels.shape} in a film of {width} x {height}")
        pts = round(frame.pts * frame.time_base / self._base) if frame else self._last + 1
        if self._last != -1 and pts <= self._last:
            raise ValueError(f"a frame at {pts} after one at {self._last}")
        self._last = pts
        while len(self._waiting) >= WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._encode, pixels.copy(), pts))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            try:
                if kind is None:
                    self._finish()
            finally:
                for future in self._waiting:
                    future.cancel()
                if self._sound:
                    self._sound.close()
                if self._output:
                    with suppress(Exception):
                        self._output.close()
            if error is not None:
                raise error

    def _open(self, pixels: np.ndarray, base: Fraction) -> None:
        height, width = pixels.shape[:2]
        self.size, self._base = self.size or (width, height), base
        width, height = self.size
        options = {"movflags": "use_metadata_tags+faststart"}
        self._output = av.open(film_url(self._tmp), "w", format="mp4", container_options=options)
        self._output.metadata.update(self.tags)
        name, settings = _CODECS[self.codec]
        self._stream = self._output.add_stream(
            name, self.rate, settings, width=width + width % 2, height=height + height % 2, time_base=base
        )
        context = self._stream.codec_context
        context.thread_count = THREADS
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        if self._samples is not None:
            self._sound = EncodedSound(self._output, self._samples, self._sound_rate)
        elif self.like and not self.like.is_dir():
            self._sound = CopiedSound(self._output, self.like)

    def _encode(self, pixels: np.ndarray, pts: int) -> None:
        assert self._output
        height, width = pixels.shape[:2]
        even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        frame = VideoFrame.from_ndarray(even, "rgb24").reformat(
            format="yuv420p", dst_colorspace=ITU709, dst_color_range=_LIMITED
        )
        frame.pts, frame.time_base = pts, self._base
        if self._sound:
            self._sound.write(pts * self._base)
        self._output.mux(self._stream.encode(frame))

    def _finish(self) -> None:
        for future in self._waiting:
            future.result()
        if not self._output:
            raise UserError(f"{self.path}: not a single frame was written")
        self._output.mux(self._stream.encode(None))
        if self._sound:
            self._sound.write(None)
        self._output.close()
