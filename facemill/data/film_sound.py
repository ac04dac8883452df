"""Sound of a film that is written: copied packet by packet from another film, or encoded from samples."""

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Protocol, cast

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from facemill.data.film_frames import open_film, start_of
from facemill.log import log

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
"""Samples a second that AAC knows (ISO/IEC 14496-3, table 1.18), which FFmpeg encodes."""

_BLOCK = 1024  # samples of an AAC packet

Span = tuple[Fraction, Fraction | None]
"""A part of a film: from when, and until before when, in seconds; None for its end."""


class Sound(Protocol):
    """Sound that is written along with the pictures, so that a file has both side by side."""

    def write(self, until: Fraction | None) -> None:
        """Writes what begins before a time in seconds; all of it for None."""

    def close(self) -> None:
        """Closes what is read."""


class CopiedSound:
    """The sound of a film, packet by packet; a codec that the container refuses is encoded to AAC.

    Of a span it is what begins in it, and its times count from there, as those of the pictures do.
    """

    def __init__(self, output: OutputContainer, path: Path, span: Span | None = None) -> None:
        self._output, self._path, self._stack = output, path, ExitStack()
        film, _ = self._stack.enter_context(open_film(path))
        self._targets: dict[int, tuple[AudioStream, bool]] = {}  # whether it is encoded
        self._last: dict[int, int] = {}
        self._skipped = 0
        for stream in film.streams.audio:
            self._add(stream)
        self._span: Span = span or (Fraction(0), None)
        self._start = start_of(film) + self._span[0]
        sources = [stream for stream in film.streams.audio if stream.index in self._targets]
        self._packets = film.demux(*sources) if sources else iter(())
        self._next: Packet | None = next(self._packets, None)

    def write(self, until: Fraction | None) -> None:
        """Copies or encodes what begins before a time in seconds; all of it for None."""
        while (packet := self._next) is not None and (until is None or self._time(packet) < until):
            if self._is_in_span(packet):
                self._write(packet)
            try:
                self._next = next(self._packets, None)
            except av.error.FFmpegError:  # which ends the packets
                self._next, self._skipped = None, self._skipped + 1
        if until is not None:
            return
        for target, encoded in self._targets.values():
            if encoded:
                self._output.mux(target.encode(None))
        if self._skipped:
            log.warning("%s: %d damaged packets of sound are skipped", self._path, self._skipped)

    def close(self) -> None:
        """Closes the film that is copied from."""
        self._stack.close()

    def _add(self, stream: AudioStream) -> None:
        codec = stream.codec_context.name if stream.codec_context else "unknown"
        if codec == "unknown":
            log.warning("%s: sound that FFmpeg does not know is left out", self._path)
            return
        try:
            if codec.startswith("pcm_"):  # which MP4 may hold since 2020, and hardly a player reads
                raise ValueError(codec)
            self._targets[stream.index] = self._output.add_stream_from_template(stream), False
        except ValueError:
            log.warning("%s: sound of kind %s does not fit into the film, and is encoded to AAC", self._path, codec)
            target = add_aac(self._output, stream.rate, stream.channels)
            self._targets[stream.index] = target, True

    def _time(self, packet: Packet) -> Fraction:
        ticks = packet.dts if packet.dts is not None else packet.pts
        return ticks * packet.time_base - self._start if ticks is not None else Fraction(-1)

    def _is_in_span(self, packet: Packet) -> bool:
        time, (begin, end) = self._time(packet), self._span
        is_late_enough = not begin or time >= 0  # what is before 0, a codec's padding, belongs to a film from there
        return not packet.size or (is_late_enough and (end is None or time < end - begin))

    def _write(self, packet: Packet) -> None:
        index = packet.stream.index  # `stream_index` of the empty last packet is 0
        target, encoded = self._targets[index]
        shift = round(self._start / packet.time_base)
        if encoded:
            try:
                for frame in cast(list[AudioFrame], packet.decode()):
                    if frame.pts is not None:
                        frame.pts -= shift
                    self._output.mux(target.encode(frame))
            except av.error.InvalidDataError:
                self._skipped += 1
            return
        if packet.dts is None or packet.dts - shift <= self._last.get(index, packet.dts - shift - 1):
            self._skipped += packet.size > 0  # the last packet of a stream is empty
            return
        packet.dts -= shift
        self._last[index] = packet.dts
        if packet.pts is not None:
            packet.pts -= shift
        packet.stream = target
        self._output.mux(packet)


class EncodedSound:
    """Sound of float32 samples in -1 to 1, encoded to AAC."""

    def __init__(self, output: OutputContainer, samples: np.ndarray, rate: int) -> None:
        self._output, self._samples, self._rate = output, np.clip(samples, -1, 1).astype(np.float32), rate
        self._target, self._done = add_aac(output, rate, 1), 0

    def write(self, until: Fraction | None) -> None:
        """Encodes what begins before a time in seconds; all of it for None."""
        end = len(self._samples) if until is None else min(int(until * self._rate), len(self._samples))
        while self._done < end:
            block = self._samples[self._done : self._done + _BLOCK]
            frame = AudioFrame.from_ndarray(block[None], format="fltp", layout="mono")
            frame.rate, frame.pts, frame.time_base = self._rate, self._done, Fraction(1, self._rate)
            self._output.mux(self._target.encode(frame))
            self._done += len(block)
        if until is None:
            self._output.mux(self._target.encode(None))

    def close(self) -> None:
        """Does nothing: the samples are no file."""


def add_aac(output: OutputContainer, rate: int, channels: int) -> AudioStream:
    """Adds a stream of AAC with one channel or two."""
    stream = output.add_stream("aac", rate if rate in AAC_RATES else 48000)
    stream.layout = "mono" if channels == 1 else "stereo"
    return stream
