"""What the studio needs of a results folder: found beside the model, or named by an option."""

from dataclasses import dataclass
from pathlib import Path

from facemill.errors import UserError

MODEL = "model.safetensors"
"""The name of a trained network's file in its folder."""

VERSIONS = ("v6", "v5", "v4", "v3", "v2", "v1")
"""U-Nets, the best first."""


@dataclass(frozen=True)
class Paths:
    """The files of a studio; of what is not there, None or nothing."""

    model: Path
    """GauGAN's folder."""
    out: Path
    """Folder of what is saved."""
    unet: Path | None = None
    """The U-Net's folder or safetensors file."""
    vectors: Path | None = None
    """The safetensors file of the attribute vectors."""
    portraits: tuple[Path, ...] = ()
    """Shards of the collection."""
    masks: tuple[Path, ...] = ()
    """Shards of its pseudo-labels, as many and in the same order."""
    review: Path | None = None
    """Folder of the labelme files that `review` wrote."""
    config: Path | None = None
    """The settings of the run, whose `labels.merge` names the labels."""
    labelled: Path | None = None
    """Folder that takes new labels."""


def find_paths(
    results: Path | None = None,
    *,
    model: Path | None = None,
    unet: Path | None = None,
    vectors: Path | None = None,
    config: Path | None = None,
    labelled: Path | None = None,
    out: Path | None = None,
) -> Paths:
    """The files in a results folder, or beside a model where that alone is given.

    Args:
        results: a dataset's results; or GauGAN's folder in them.
        model: GauGAN's folder or its file `model.safetensors`, in place of that of `results`.
        unet: the U-Net's folder or safetensors file, in place of the best of `results`.
        vectors: the safetensors file of vectors, in place of that of `results`.
        config: settings with a section `labels`, in place of those of `results`.
        labelled: folder that takes new labels; it need not be there.
        out: folder of what is saved, `edits` where not given; it need not be there.

    Raises:
        UserError: There is no GauGAN, or a path that was named is not there, or of another kind.
    """
    options = {"model": model, "unet": unet, "vectors": vectors, "config": config}
    for option, path in options.items():
        if path and not path.exists():
            raise UserError(f"--{option} {path}: no such file or folder")
    if model and model.is_file() and model.name != MODEL:
        raise UserError(f"--model {model}: accepted: a folder, or a file {MODEL}")
    if results is None and model is None:
        raise UserError("no model is named; accepted: a results folder, such as results/sample, or --model FOLDER")
    if results and not results.is_dir():
        raise UserError(f"{results}: no such folder; accepted: a results folder, such as results/sample")
    out = out or Path("edits")
    for option, folder in {"labelled": labelled, "out": out}.items():
        there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), None) if folder else None
        if there and not there.is_dir():
            raise UserError(f"--{option} {folder}: {there} is a file; accepted: a folder")
    if results and (results / "model.json").exists():
        results, model = results.parent, model or results
    model = model or _first(results / "gaugan" if results else None)
    if model is None:
        raise UserError(f"{results}/gaugan: no GauGAN is there; accepted: results with one, or --model FOLDER")
    folder = model if model.is_dir() else model.parent
    base = results or folder.parent
    portraits, masks = _shards(base / "portraits"), _shards(base / "pseudo_labels")
    return Paths(
        model=folder,
        out=out,
        unet=unet or _first(*(base / "unet" / version for version in VERSIONS)),
        vectors=vectors or _first(base / "attributes/vectors.safetensors"),
        portraits=portraits,
        masks=masks if len(masks) == len(portraits) else (),
        review=_first(base / "review/labelme"),
        config=config or _first(base / "config.yaml"),
        labelled=labelled,
    )


def _first(*paths: Path | None) -> Path | None:
    return next((path for path in paths if path and path.exists()), None)


def _shards(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.glob("shard-*.parquet")))
