"""Tags of generated portraits: by their own masks, or without masks by those that their shard has."""

import pytest

from facemill.config.latent import TagsConfig
from facemill.data.classes import SEVEN
from facemill.data.shards import encode_mask, read_rows, write_shard
from facemill.latent.tag_portraits import TAG_SCHEMA
from facemill.stylegan.generate_samples import SCHEMA, encoded, with_masks
from facemill.stylegan.tag_generated import tag_generated


@pytest.mark.parametrize(("masked", "sources"), [(True, ["tags", "color"]), (False, ["tags"])])
def test_colors_are_read_under_the_portraits_own_masks(paint, mask, hair_paint, tmp_path, masked, sources):
    rows = []
    for seed, (name, color) in enumerate(hair_paint.items()):
        row = dict.fromkeys(SCHEMA.names) | {"id": f"seed-{seed:06}", "seed": seed, "tags": [] if masked else [name]}
        row["image"] = encoded(paint(color), row["id"])
        rows.append(row | ({"mask": {"bytes": encode_mask(mask, SEVEN)}} if masked else {}))
    schema, classes = (with_masks(SCHEMA), SEVEN) if masked else (SCHEMA, None)
    write_shard(tmp_path / "generated.parquet", rows, schema, classes)
    palette = {name: ["#" + bytes(color).hex()] for name, color in hair_paint.items()}
    config = TagsConfig(sources=sources, hair_colors=palette)
    options = {"tags_config": config, "generated": tmp_path / "generated.parquet", "booleans": ["smile"]}
    tag_generated(**options, tags=tmp_path / "tags.parquet")
    tagged = list(read_rows([tmp_path / "tags.parquet"]))
    assert tagged[0].keys() == set(TAG_SCHEMA.names)
    assert [(row["id"], row["hair_color"]) for row in tagged] == [
        (row["id"], name) for row, name in zip(rows, hair_paint, strict=True)
    ]
    assert all(row["hair_color_source"] == sources[-1] for row in tagged)
    assert all((row["hair"] is not None) == masked for row in tagged)
