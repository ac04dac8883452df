"""The folder of portraits, labels and weights that `gpu.py` runs on."""

from itertools import count, islice
from pathlib import Path

import yaml

from facemill.config.label import LabelsConfig
from facemill.data.classes import SEVEN
from facemill.data.shards import decode_image, write_shard
from facemill.label import labelled_rows

ROOT = Path(__file__).parents[1]
DRAWN = {"train.parquet": 24, "validation.parquet": 6, "portraits-0000.parquet": 16, "portraits-0001.parquet": 16}
"""The files of `draw_data`, and the portraits of each."""


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
