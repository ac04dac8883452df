"""Photos and other pictures, and films, in the manner of another collection, outside the workflow."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from facemill.data.batching import batched, map_ahead
from facemill.data.synthetic import Mark, draw_mark, hashes, write_marked
from facemill.data.walk import IMAGE_SUFFIXES, check_new_folder, check_out, check_replaced, files_in
from facemill.errors import UserError, first_line, list_faults
from facemill.inference.translator import Translator
from facemill.log import log, progress
from facemill.networks.resnet_generator import MULTIPLE
from facemill.translate.cyclegan import DIRECTIONS
from facemill.translate.fit import SIDES, Fit
from facemill.translate.test_time_augmentation import MOVES, Translates, translate_augmented
from facemill.translate.through_masks import FILES, ThroughMasks
from facemill.translate.translated_film import translate_film

BATCH = 16


def translate_images(
    *,
    model: Path,
    out: Path,
    images: Path | None = None,
    film: Path | None = None,
    direction: Literal["a2b", "b2a"] | None = None,
    framing: Literal["portrait", "full"] | None = None,
    size: int | None = None,
    tta: int = 1,
    unet: Path | None = None,
    no_mark: bool = False,
) -> None:
    """Translates a photo, each image of a folder and its subfolders, or a film, into the manner of a collection.

    Each result says in its metadata that a trained network edited it, and by default in a corner, too. Images that
    cannot be read are listed at the end; the exit status is then 1.

    Args:
        model: a trained CycleGAN: its folder, for example results/sample/cyclegan, or the file of one direction; or
            a folder through_masks.
        out: folder of the results, PNGs of the images' names, apart from a folder of images; the film to write.
        images: an image file, or a folder of them; any sizes.
        film: in place of images: a film, or a folder of frames. Its times and its sound stay.
        direction: a2b into the other collection's manner, b2a back; by default a2b where the model has both.
        framing: portrait crops images as the collection was that the network learned from, the default; full takes
            all of each, the shorter side as long as a portrait. Of films always the full frames are taken, or with
            --unet the square around the face.
        size: height in pixels of portraits, and of the shorter side of others, in the network and in the results: a
            multiple of 4; by default that of the training, at which the manner is right.
        tta: test-time augmentation, the mean of slightly moved copies, 1 to 4: steadier films, softer pictures.
        unet: of a film: the U-Net that knows its faces, a safetensors file or its folder.
        no_mark: leaves out the visible word; the metadata stay.
    """
    if (images is None) == (film is None):
        raise UserError("--images, --film: accepted: one of them")
    if film is None and unet:
        raise UserError("--unet: for faces in films; accepted: with --film")
    if film and framing:
        raise UserError("--framing: for images; accepted: with --images; of films full frames, or faces with --unet")
    translator, files = load_translator(model, direction)
    if not 1 <= tta <= len(MOVES):
        raise UserError(f"--tta {tta}: accepted: 1 to {len(MOVES)}")
    side = _side(size, translator.size, files[0])
    if film:
        translate_film(translator, files, film, out, unet=unet, size=side, tta=tta, no_mark=no_mark)
    elif images:
        fit = Fit.of(files[0], side, framing or "portrait")
        _translate_all(_Files.of(images, out), fit, translator, files, tta=tta, no_mark=no_mark)


def load_translator(model: Path, direction: str | None) -> tuple[Translates, list[Path]]:
    """A translator and its files, the first of which has the JSON of how its portraits were cropped.

    Raises:
        UserError: There is no translator, or none of that direction.
    """
    there = _directions(model)
    if (way := direction or min(there)) not in there:
        raise UserError(f"--direction {way}: {model} holds another; accepted: {', '.join(there)}, or no --direction")
    files = there[way]
    return (ThroughMasks.load(files[0].parent) if len(files) > 1 else Translator.load(files[0])), files


def _directions(model: Path) -> dict[str, list[Path]]:
    """The files of each direction that a model holds; of a file, and of a folder of a direction, by its name."""
    if not model.exists():
        raise UserError(f"--model {model}: no such file or folder")
    if not model.is_dir():
        if model.suffix != ".safetensors":
            raise UserError(f"--model {model}: accepted: a folder, or a file a2b.safetensors or b2a.safetensors")
        return {model.stem: [model]}
    if (model / FILES[0]).exists():
        return {model.absolute().name: [model / name for name in FILES]}
    files = {way: [model / f"{way}.safetensors"] for way in DIRECTIONS}
    files |= {way: [model / way / name for name in FILES] for way in DIRECTIONS if (model / way / FILES[0]).exists()}
    if there := {way: paths for way, paths in files.items() if paths[0].exists()}:
        return there
    raise UserError(f"--model {model}: no translator in it; accepted: a folder cyclegan or through_masks of results")


def _side(size: int | None, trained_at: int, weights: Path) -> int:
    side = trained_at if size is None else size
    least, most = SIDES
    if side % MULTIPLE or not least <= side <= most:
        key = f"{weights.with_suffix('.json')}: settings.size: found {side};" if size is None else f"--size {side}:"
        raise UserError(f"{key} accepted: a multiple of {MULTIPLE} from {least} to {most}")
    return side


class _Files(NamedTuple):
    """The images, each with the PNG that is written."""

    out: Path
    names: dict[Path, Path]

    @classmethod
    def of(cls, images: Path, out: Path) -> "_Files":
        """An image, or those in a folder; raises `UserError` where one would be replaced."""
        if not images.exists():
            raise UserError(f"--images {images}: no such file or folder")
        if out.suffix.lower() in IMAGE_SUFFIXES and not out.exists():
            raise UserError(f"--out {out}: the name of an image; accepted: a folder")
        if images.is_dir():
            files = files_in("--images", images, IMAGE_SUFFIXES, "image")
            names = {Path(file.path): Path(file.name).with_suffix(".png") for file in files}
            check_out("--images", images, out, [out / name for name in names.values()], names)
        else:
            names = {images: Path(images.stem + ".png")}
            check_replaced("--out", out, [out / names[images]], names)
            check_new_folder("--out", out)
        return cls(out, names)


def _translate_all(
    files: _Files, fit: Fit, translator: Translates, models: Sequence[Path], *, tta: int, no_mark: bool
) -> None:
    """Translates images and writes them; those that cannot be are listed in a `UserError` at the end."""
    digests, faults = hashes(models), []
    with ThreadPoolExecutor(2) as pool:
        for path, pixels in progress(
            _translated(files, fit, translator, tta, pool), "translate_images", len(files.names)
        ):
            if isinstance(pixels, ValueError):
                faults.append((path, str(pixels)))
                continue
            mark = Mark("compositeWithTrainedAlgorithmicMedia", digests, hashes([path]))
            try:
                write_marked(files.out / files.names[path], pixels if no_mark else draw_mark(pixels), mark)
            except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
                faults.append((path, f"its translation cannot be written ({first_line(error)})"))
    count = len(files.names)
    log.info("%d translations in %s", count - len(faults), files.out)
    if faults:
        raise UserError("\n  ".join([f"{len(faults)} of {count} images are not translated:", *list_faults(faults)]))


def _translated(
    files: _Files, fit: Fit, translator: Translates, tta: int, pool: ThreadPoolExecutor
) -> Iterator[tuple[Path, np.ndarray | ValueError]]:
    """Yields each image with its translation, or why there is none; images of one size go together."""
    first = {name: path for path, name in reversed(files.names.items())}

    def read(path: Path) -> tuple[Path, np.ndarray | ValueError]:
        """The pixels of an image, uint8 RGB (H, W, 3), or why there are none."""
        if first[files.names[path]] != path:
            return path, ValueError(f"its translation would replace that of {first[files.names[path]].name}")
        try:
            return path, fit.read(path)
        except ValueError as error:
            return path, error

    for batch in batched(map_ahead(pool, read, files.names, ahead=BATCH), BATCH):
        translated: dict[Path, np.ndarray | ValueError] = {p: r for p, r in batch if isinstance(r, ValueError)}
        translated |= _by_size([(p, r) for p, r in batch if not isinstance(r, ValueError)], translator, tta)
        yield from ((path, translated[path]) for path, _ in batch)


def _by_size(
    images: Iterable[tuple[Path, np.ndarray]], translator: Translates, tta: int
) -> dict[Path, np.ndarray | ValueError]:
    sizes: dict[tuple[int, ...], dict[Path, np.ndarray]] = {}
    for path, pixels in images:
        sizes.setdefault(pixels.shape, {})[path] = pixels
    translated: dict[Path, np.ndarray | ValueError] = {}
    for same in sizes.values():
        results = translate_augmented(translator, np.stack(list(same.values())), tta)
        translated |= dict(zip(same, results, strict=True))
    return translated
