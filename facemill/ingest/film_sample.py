"""The sample's two films: a drawn actor each, with the truth of every frame, and with the faults that films have."""

import random
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa

from facemill.config.ingest import SampleConfig
from facemill.config.label import LabelsConfig
from facemill.data.classes import ClassTable
from facemill.data.film import FilmWriter, Frame
from facemill.data.image_files import read_rgb
from facemill.data.shards import IMAGE, encode_mask, write_shard
from facemill.data.synthetic import Mark, film_tags
from facemill.files import atomic_folder
from facemill.ingest.backgrounds import CANVAS, draw_background
from facemill.ingest.film_script import FIGURES, SOUND_RATE, TIME_BASE, Film, Moment, script, tone
from facemill.ingest.render_sample import part_class_ids
from facemill.ingest.toon_head import Figure, Scene, scene
from facemill.log import progress

SIZE = 256
"""Width and height of the films, in pixels."""


def _person(hair_color: str, skin: str, clothes_color: str, **variants: str) -> Figure:
    face = {"body": "body", "head": "head", "eyes": "happy", "eyebrows": "neutral", "mouth": "smile", "beard": "none"}
    return Figure(face | variants, hair_color, skin, clothes_color)


ACTORS: dict[Film, Figure] = {
    "a": _person("#7a4a2e", "#f7d3bb", "#3f6fc4", hair="sideComed", rearHair="longWavy", clothes="openJacket"),
    "b": _person("#2a262d", "#c68e7a", "#d8a13c", hair="spiky", rearHair="none", beard="chin", clothes="turtleNeck"),
}
"""The actor of each film, whose expression alone changes."""
_PASSER = _person("#b0302c", "#e0ac8c", "#4c9c62", hair="bun", rearHair="none", clothes="dress")

_SCHEMA = pa.schema(
    [
        ("film", pa.string()),
        ("frame", pa.int32()),
        ("time", pa.float64()),
        ("image", IMAGE),
        ("mask", IMAGE),
        *((name, pa.string()) for name in ("eyes", "eyebrows", "mouth")),
        ("figures", pa.int32()),
    ]
)


def film_sample(
    *, settings: SampleConfig, seed: int, classes: ClassTable, labels: LabelsConfig, films: Path, truth: Path
) -> None:
    """Draws two films with sound, and the truth of all their frames.

    In film a the actor does nothing for a fifth of the time, smiles, opens the mouth, winks and turns; then, and in all
    of film b, expressions and poses vary. Each film has frames without anybody; a has a black one, b a stretch with a
    second figure, and in its second half another frame rate. A tone is as loud and high as the mouth is open.

    Args:
        settings: section `sample` of the config.
        seed: another seed gives other backgrounds and movements of the same actors.
        classes: the class table of the masks.
        labels: section `labels` of the config, which merges labels into classes.
        films: the folder to write `a.mp4` and `b.mp4` into; an earlier one is replaced.
        truth: a row a frame: `film`, `frame`, `time` in seconds, `image` (PNG of what nobody filmed: the other film's
            actor in place of this one), `mask` (PNG), the variants of `eyes`, `eyebrows` and `mouth`, which are null
            where there is no figure, and the number of `figures`.
    """
    ids, rows = part_class_ids(classes, labels), []
    others: dict[Film, Film] = {"a": "b", "b": "a"}
    with atomic_folder(films) as folder:
        for film, other in others.items():
            moments, background = script(film, settings.frames, seed), _background(film, seed)
            drawn = [_draw(moment, ACTORS[film], background) for moment in moments]
            _write_film(folder / f"{film}.mp4", moments, drawn)
            for number, moment in enumerate(progress(moments, f"truth of film {film}", len(moments), "frames")):
                image = _draw(moment, ACTORS[other], background).image(SIZE)
                mask = encode_mask(ids[drawn[number].part_ids(SIZE)], classes)
                rows.append(_row(film, number, moment, image, mask))
    write_shard(truth, rows, _SCHEMA, classes)


def _background(film: Film, seed: int) -> str:
    colors = [color for actor in ACTORS.values() for color in (actor.hair, actor.skin, actor.clothes)]
    return draw_background(random.Random(f"background:{seed}:{film}"), colors)[1]


def _draw(moment: Moment, actor: Figure, background: str) -> Scene:
    if moment.shown == "black":
        return scene(f'<rect width="{CANVAS}" height="{CANVAS}" fill="#000000"/>', [])
    playing = replace(actor, variants=actor.variants | moment.expression)
    figures = [(playing, moment.pose), (_PASSER, moment.passer)][: FIGURES[moment.shown]]
    return scene(background, figures[::-1])  # the actor before the other


def _write_film(path: Path, moments: list[Moment], drawn: list[Scene]) -> None:
    tags = film_tags(Mark("algorithmicMedia"))
    with FilmWriter(path, rate=Fraction(12), tags=tags, sound=tone(moments), sound_rate=SOUND_RATE) as film:
        for number, moment in enumerate(progress(moments, f"film {path.stem}", len(moments), "frames")):
            pixels = np.asarray(read_rgb(drawn[number].image(SIZE)))
            film.write(pixels, Frame(number, moment.ticks, TIME_BASE, pixels))


def _row(film: Film, number: int, moment: Moment, image: bytes, mask: bytes) -> dict:
    name, figures = f"{film}-{number:04}.png", FIGURES[moment.shown]
    return {
        "film": film,
        "frame": number,
        "time": float(moment.ticks * TIME_BASE),
        "image": {"bytes": image, "path": name},
        "mask": {"bytes": mask, "path": name},
        "figures": figures,
    } | {part: variant if figures else None for part, variant in moment.expression.items()}
