"""The film of embeddings: a film, the avatar of its face, and what the avatar's parts are chosen by."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from facemill.avatars.embedding_plots import HEIGHT, WIDTH, EmbeddingPlots
from facemill.avatars.extractors import load_extractor
from facemill.avatars.film_choices import Comparer, FilmChoices
from facemill.avatars.film_faces import FaceFollower
from facemill.avatars.film_portrayal import Looker, Portrayer
from facemill.avatars.matching import Library
from facemill.avatars.statistics import Statistics
from facemill.data.batching import map_ahead
from facemill.data.film import FilmWriter, about, frames
from facemill.data.synthetic import Mark, film_tags, hashes
from facemill.errors import UserError
from facemill.files import write_json
from facemill.inference.segmenter import Segmenter
from facemill.log import log


def film_avatar(
    *,
    film: Path,
    unet: Path,
    parts: Path,
    out: Path,
    style: str | None = None,
    statistics: Path | None = None,
    extractor: Literal["shape", "autoencoder", "resnet50", "mobilenet_v2"] = "shape",
    weights: Path | None = None,
    looks: int = 8,
    keep: float = 0.05,
    hold: int = 5,
    no_hold: bool = False,
    table: Path | None = None,
    metrics: Path | None = None,
) -> None:
    """Makes the film of embeddings of a film: beside each frame its face's avatar, and how its parts are chosen.

    It has 1280 x 720 pixels, the film's times and sound; without a face it shows the last avatar in gray.

    Args:
        film: a film, or a folder of frames; any size and shape.
        unet: the U-Net, a safetensors file or the folder that holds it.
        parts: folder of the styles' parts, for example results/sample/avatars/parts, or the Parquet of one.
        out: the film to write (.mp4).
        style: drawing style, of those in the folder.
        statistics: of the collection's parts; by default statistics.safetensors beside the folder, where there is one.
        extractor: what compares parts.
        weights: of an extractor that is a network: the model of train_part_encoder, or of torchvision.
        looks: slightly moved looks whose mean is compared.
        keep: share by which another part must be nearer before it is chosen,
        hold: and for so many frames.
        no_hold: choose in each frame what is nearest.
        table: CSV to write: frame, time, role, variant, margin, changed, nearest (the variant without `hold`), move
            (of the face's embedding since the frame before).
        metrics: JSON to write: changes a second of each role, with and without `hold`, in all and in still frames.
    """
    _check(looks, keep, hold)
    keep, hold = (0, 1) if no_hold else (keep, hold)
    library, source = _library(parts, style)
    network = None if extractor == "shape" else load_extractor(extractor, weights=weights)
    comparer = Comparer(library, _collection(library, source, statistics), network, source)
    title = f"{film.name}: parts of {library.style.name} by {extractor}, {_rule(keep, hold)}"
    portrayer = Portrayer(comparer, FilmChoices(comparer, keep=keep, hold=hold), _plots(comparer, title))
    looker, count = Looker(FaceFollower(Segmenter.load(unet)), looks), 0
    about(film)  # names its fault where it has one, as the line before does for the U-Net
    mark = Mark("algorithmicMedia", hashes([unet / "model.safetensors" if unet.is_dir() else unet]), hashes([film]))
    writer = FilmWriter(out, like=film, size=(WIDTH, HEIGHT), tags=film_tags(mark))
    with ThreadPoolExecutor(1) as pool, writer:
        for look in map_ahead(pool, looker.look, frames(film)):
            writer.write(portrayer.draw(look), look.frame)
            count += 1
        if not portrayer.faces:
            raise UserError(f"{film}: the U-Net sees no face in its {count} frames; accepted: films with a face")
    log.info("film_avatar: %d frames, %d of them with a face, in %s", count, portrayer.faces, out)
    if table:
        portrayer.write_table(table)
    if metrics:
        write_json(metrics, portrayer.measure())


def _check(looks: int, keep: float, hold: int) -> None:
    if looks < 1 or keep < 0 or hold < 1:
        given = f"--looks {looks}, --keep {keep:g}, --hold {hold}"
        raise UserError(f"{given}; accepted: 1 or more looks and frames, and a share of 0 or more")


def _rule(keep: float, hold: int) -> str:
    """In words, when a part gives way to another."""
    if keep == 0 and hold == 1:
        return "frame by frame"
    return f"a part stays until another is {keep:.0%} nearer for {hold} frames"


def _library(parts: Path, style: str | None) -> tuple[Library, Path]:
    """A style's parts, and their Parquet."""
    if parts.is_dir():
        if style is None:
            raise UserError(f"--parts {parts}: a folder; accepted: with --style NAME, or the Parquet of a style")
        parts = parts / f"{style}.parquet"
    library = Library.load(parts, parts.with_suffix(".json"))
    if style not in (None, library.style.name):
        raise UserError(f"--style {style}: {parts} holds parts of {library.style.name}")
    return library, parts


def _collection(library: Library, parts: Path, statistics: Path | None) -> Statistics:
    """The statistics that are given, or those beside the folder of parts; the library's where there are none."""
    beside = statistics or parts.parent.parent / "statistics.safetensors"
    return Statistics.load(beside) if statistics or beside.exists() else library.statistics


def _plots(comparer: Comparer, title: str) -> EmbeddingPlots:
    style = comparer.library.style
    return EmbeddingPlots(list(comparer.domains), title, f"{style.name} by {style.creator}, {style.license}")
