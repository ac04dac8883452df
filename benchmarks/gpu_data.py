"""The folder of portraits, labels and weights that `gpu.py` runs on, from a dataset of the workflow.

    python benchmarks/gpu_data.py --results results/DATASET --out FOLDER [--encoder-weights FILE] [--vgg-weights FILE]
    python benchmarks/gpu_data.py --out FOLDER              drawings of 64 px, for `gpu.py --dry`

The dataset needs labels and portraits, no networks: `snakemake ... --until augment_labels portraits` makes them.
"""

from itertools import count, islice
from pathlib import Path

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from facemill.config.label import LabelsConfig
from facemill.data.classes import SEVEN
from facemill.data.shards import count_rows, decode_image, mask_classes, open_shard, read_rows, write_shard
from facemill.errors import UserError
from facemill.files import atomic_folder
from facemill.label import labelled_rows
from facemill.log import log
from facemill.workflow.command import run

ROOT = Path(__file__).parents[1]
DRAWN = {"train.parquet": 24, "validation.parquet": 6, "portraits-0000.parquet": 16, "portraits-0001.parquet": 16}
"""The files of `draw_data`, and the portraits of each."""


def main(
    *,
    out: Path,
    results: Path | None = None,
    encoder_weights: Path | None = None,
    vgg_weights: Path | None = None,
    megabytes: float = 50,
) -> None:
    """Writes the folder that `gpu.py` runs on.

    Args:
        out: the folder, a new one.
        results: results of a dataset, as far as `augment_labels` and `portraits`; without it drawings of 64 px.
        encoder_weights: ImageNet's MobileNetV2, safetensors with torchvision's keys.
        vgg_weights: ImageNet's VGG16 with LPIPS's heads, safetensors with torchvision's keys.
        megabytes: size of the folder at most; what the weights leave is shared by labels and portraits.
    """
    if out.exists():
        raise UserError(f"--out: {out} is there already; accepted: a new folder")
    weights = {"encoder": encoder_weights, "vgg": vgg_weights}
    if missing := [path for path in weights.values() if path and not path.is_file()]:
        raise UserError(f"{missing[0]}: no such file; accepted: a safetensors file")
    with atomic_folder(out) as folder:
        for name, source in weights.items():
            if source:
                halve_weights(source, folder / f"{name}.safetensors")
        if results:
            copy_dataset(results, folder, megabytes)
        else:
            draw_data(folder)
    rows = {path.stem: count_rows([path]) for path in sorted(out.glob("*.parquet"))}
    log.info("%s: %.1f MB; %s", out, size_of(out) / 1e6, ", ".join(f"{n} in {name}" for name, n in rows.items()))


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir())


def halve_weights(source: Path, target: Path) -> None:
    """Copies a safetensors file with its weights in float16; vectors, as the moments of norms, stay as they are."""
    try:
        tensors = load_file(source)
    except SafetensorError as error:
        raise UserError(f"{source}: not a safetensors file ({error})") from error
    save_file({name: tensor.half() if tensor.ndim > 1 else tensor for name, tensor in tensors.items()}, target)


def copy_dataset(results: Path, folder: Path, megabytes: float) -> None:
    """Copies a dataset's validation labels, and of its augmented labels and portraits what fits.

    Of the augmented labels every n-th is taken, so that each labelled portrait is among them; they take at most half
    of what the folder's other files leave.
    """
    train, validation = results / "augmented/train.parquet", results / "labels/validation.parquet"
    portraits = sorted((results / "portraits").glob("shard-*.parquet"))
    for path in (train, validation, *(portraits[:1] or [results / "portraits/shard-0000.parquet"])):
        if not path.exists():
            raise UserError(f"{path}: is missing; accepted: a dataset as far as augment_labels and portraits")
    classes = mask_classes([train, validation])
    write_shard(folder / "validation.parquet", list(read_rows([validation])), labelled_rows.SCHEMA, classes)
    left = 1e6 * megabytes - size_of(folder)
    if left < 2e6:
        raise UserError(f"--megabytes: found {megabytes:g}; accepted: at least {2 + size_of(folder) / 1e6:.0f}")
    every = -(-train.stat().st_size // int(left / 2))
    rows = list(islice(read_rows([train]), 0, None, every))
    write_shard(folder / "train.parquet", rows, labelled_rows.SCHEMA, classes)
    for index, path in enumerate(portraits):
        left, rows = 1e6 * megabytes - size_of(folder), []
        for row in read_rows([path]):
            left -= len(row["image"]["bytes"]) + 500  # the other columns, before they are compressed
            if left < 0:
                break
            rows.append(row)
        if rows:
            write_shard(folder / f"portraits-{index:04}.parquet", rows, open_shard(path).schema_arrow)


def draw_data(folder: Path, size: int = 64) -> None:
    """Writes drawings of the embedded sample, instead of the portraits and labels of a dataset; no weights."""
    from facemill.ingest import portraits
    from facemill.ingest.drawing import draw  # needs the packages that draw
    from facemill.ingest.render_sample import part_class_ids

    settings = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    class_ids = part_class_ids(SEVEN, LabelsConfig.model_validate(settings["labels"]))
    folder.mkdir(parents=True, exist_ok=True)
    numbers = count(1)
    for name, number_of_rows in DRAWN.items():
        rows = []
        for number in islice(numbers, number_of_rows):
            drawing = draw(number, seed=0)
            image, mask = decode_image(drawing.image(size)), class_ids[drawing.part_ids(size)]
            row = labelled_rows.labelled_row(str(number), image, mask, SEVEN)
            rows.append(row | {"tags": drawing.tags, "source": f"{number}.png"})
        schema = portraits.SCHEMA if name.startswith("portraits") else labelled_rows.SCHEMA
        write_shard(folder / name, rows, schema, None if schema is portraits.SCHEMA else SEVEN)


if __name__ == "__main__":
    run("gpu_data:main")
