"""Films that follow each other in time joined into one, without encoding their pictures again."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import av
from av.packet import Packet

from facemill.data.film import movie_timescale
from facemill.data.film_frames import film_url, open_film
from facemill.data.film_sound import CopiedSound, Span
from facemill.files import atomic_write


def join_films(
    path: Path,
    pieces: Sequence[Path],
    *,
    like: Path | None = None,
    span: Span | None = None,
    tags: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Writes films as one, atomically: the packets of their pictures as they are, at the times that they have.

    Args:
        path: the film, `.mp4`.
        pieces: films that `FilmWriter` wrote with the same settings; each goes on where the one before it ends.
        like: a film whose sound is copied packet by packet.
        span: the part of `like` that the pieces show, whose beginning is their time 0; None for all.
        tags: written into the film's header.

    Raises:
        ValueError: The pieces do not follow each other, or have different settings.
    """
    base, packets = _decoding_order(pieces)
    options = {"movflags": "use_metadata_tags+faststart"}
    with ExitStack() as stack:
        tmp = stack.enter_context(atomic_write(path))
        output = stack.enter_context(closing(av.open(film_url(tmp), "w", format="mp4", container_options=options)))
        output.metadata.update(tags)
        _, first = stack.enter_context(open_film(pieces[0]))
        stream = output.add_stream_from_template(first)
        stream.time_base = base
        sound = stack.enter_context(closing(CopiedSound(output, like, span))) if like else None
        output.container_options["movie_timescale"] = str(movie_timescale(output, base))
        for packet in packets:
            assert packet.dts is not None
            if sound:
                sound.write(packet.dts * base)
            packet.stream = stream
            output.mux(packet)
        if sound:
            sound.write(None)


def _decoding_order(pieces: Sequence[Path]) -> tuple[Fraction, Iterator[Packet]]:
    """The time base of the pieces, and their packets with times of decoding that grow from piece to piece.

    A packet is decoded when a frame a fixed number before its own is shown, as the encoder has it within a piece.
    """
    shown, settings = list[int](), set[tuple[Fraction, bytes | None]]()
    for piece in pieces:
        with open_film(piece) as (film, stream):
            settings.add((stream.time_base or Fraction(1), stream.codec_context.extradata))
            times = [packet.pts for packet in film.demux(stream) if packet.pts is not None]
        if shown and min(times) <= shown[-1]:
            raise ValueError(f"{piece}: begins at {min(times)}, the piece before it ends at {shown[-1]}")
        shown += sorted(times)
    if len(settings) != 1:
        raise ValueError(f"{pieces[0].parent}: pieces of {len(settings)} settings")
    [(base, _)] = settings
    place = {pts: number for number, pts in enumerate(shown)}

    def delays() -> Iterator[int]:
        """By how many frames each packet is decoded before the frame of its number is shown."""
        for number, packet in enumerate(_packets(pieces)):
            yield number - place[packet.pts or 0]

    delay = min(max(delays()), len(shown) - 1)
    early = [pts - shown[delay] + shown[0] for pts in islice(shown, delay)]

    def packets() -> Iterator[Packet]:
        """The packets with their times."""
        for packet, dts in zip(_packets(pieces), early + shown[: len(shown) - delay], strict=True):
            packet.dts = dts
            yield packet

    return base, packets()


def _packets(pieces: Sequence[Path]) -> Iterator[Packet]:
    """The packets of the pieces' pictures, in the order in which they are decoded."""
    for piece in pieces:
        with open_film(piece) as (film, stream):
            yield from (packet for packet in film.demux(stream) if packet.size)
