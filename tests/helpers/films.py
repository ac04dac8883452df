"""Films for tests: by FFmpeg alone, not by the code that is tested, and by `FilmWriter`."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from facemill.data.film import FilmWriter, frames

WIDTH, HEIGHT = 96, 64


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A smooth picture, uint8 RGB, whose blue tells its number, and whose quarters differ: bright top, red left."""
    y, x = np.mgrid[:height, :width] / (height, width)[0]
    x = x * height / width
    red, green = 220 * (1 - x) + 10, 200 * (1 - y) + 20
    return np.stack([red, green, np.full_like(red, 20 + number * 7 % 200)], -1).round().astype(np.uint8)


def number_of(pixels: np.ndarray) -> int:
    """The number that `picture` put into a frame, below 28."""
    return round((float(pixels[..., 2].mean()) - 20) / 7)


PICTURES = [picture(number) for number in range(12)]


def tone(seconds: float, rate: int = 48000) -> np.ndarray:
    """A quiet tone of 440 Hz, float32 (N,)."""
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write_film(
    path: Path,
    pictures: Iterable[np.ndarray],
    *,
    times: Sequence[int] | None = None,
    base: Fraction = Fraction(1, 25),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    sound: str | None = None,
    delay: float = 0,
    turn: tuple[float, bool, bool] | None = None,
    ratio: Fraction | None = None,
    color: dict[str, int] | None = None,
    muxer: str | None = None,
) -> Path:
    """Writes a film.

    Args:
        path: the film; its suffix names the container.
        pictures: uint8 RGB, of one size.
        times: of the frames, in units of `base`; None for 0, 1, 2 ...
        codec: encoder of the pictures, of pixels in the format `pixels`.
        options: of the encoder.
        container: options of the container.
        sound: its encoder; a tone, as long as the pictures.
        delay: seconds by which the sound begins later.
        turn: degrees counterclockwise, and whether a player mirrors it left to right, and upside down.
        ratio: of a pixel's width to its height.
        color: attributes of the pictures' codec, by name.
        muxer: name of the container, where the suffix does not tell.
    """
    pictures = list(pictures)
    height, width = pictures[0].shape[:2]
    with av.open(f"file:{path}", "w", format=muxer, container_options=container or {}) as film:
        stream = film.add_stream(codec, Fraction(1) / base, options or {}, width=width, height=height, time_base=base)
        stream.pix_fmt = pixels
        for name, value in (color or {}).items():
            setattr(stream.codec_context, name, value)
        if turn:
            stream.set_display_rotation(turn[0], hflip=turn[1], vflip=turn[2])
        if ratio:
            stream.codec_context.sample_aspect_ratio = ratio
        track = film.add_stream(sound, 48000) if sound else None
        if track:
            track.layout = "mono"
        for number, pixel_values in enumerate(pictures):
            frame = VideoFrame.from_ndarray(pixel_values, "rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = times[number] if times else number, base
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
        if track:
            samples = tone(float(len(pictures) * base))
            for start in range(0, len(samples), 1024):
                block = AudioFrame.from_ndarray(samples[None, start : start + 1024], "fltp", "mono")
                block.rate, block.time_base = 48000, Fraction(1, 48000)
                block.pts = start + round(delay * 48000)
                film.mux(track.encode(block))
            film.mux(track.encode(None))
    return path


def sound_packets(path: Path) -> list[tuple[bytes, Fraction]]:
    """The packets of a film's first sound, each with its time in seconds."""
    with av.open(str(path)) as film:
        packets = film.demux(audio=0) if film.streams.audio else []
        return [(bytes(packet), packet.pts * packet.time_base) for packet in packets if packet.size]


def copy(source: Path, target: Path, **options) -> Path:
    """Writes a film's frames, unchanged, as all users of films do."""
    with FilmWriter(target, like=source, **options) as film:
        for frame in frames(source):
            film.write(frame.pixels, frame)
    return target


def draw(target: Path, pictures=PICTURES, **options) -> Path:
    """Writes pictures, uint8 RGB, at the film's rate."""
    with FilmWriter(target, **options) as film:
        for pixels in pictures:
            film.write(pixels)
    return target


def times(path: Path) -> list[Fraction]:
    """The exact times of a film's frames, in seconds."""
    return [frame.pts * frame.time_base for frame in frames(path)]
