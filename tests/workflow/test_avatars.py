"""The stage `avatars` on a finished run of the tiny config: asked for by name, and as a part of all."""

import json

from helpers.running import planned, snakemake

from facemill.data.shards import read_rows

METRICS = "results/tiny/avatars/metrics.json"
"""All but the film, in which so small a U-Net finds no face; tests/unit/avatars/test_film_avatar.py has it."""


def test_avatars_of_a_finished_run(project):
    code, said = snakemake(project, "--", METRICS)
    assert code == 0, said
    results = project / "results/tiny"
    metrics = json.loads((project / METRICS).read_text())
    assert {"retrieval", "extractors", "color", "expression", "stability", "cross_style"} <= metrics.keys()
    assert {"shape", "raw", "autoencoder_original", "autoencoder_fixed"} <= metrics["extractors"].keys()
    avatars = {row["id"] for row in read_rows(sorted(results.glob("avatars/toon-head/shard-*.parquet")))}
    assert avatars == {row["id"] for row in read_rows(sorted(results.glob("avatars/regions/shard-*.parquet")))}
    assert len(avatars) > 30
    for picture in ("avatars", "confusion", "embeddings", "codes"):
        assert (results / f"avatars/{picture}.png").stat().st_size > 1000
    assert planned(project, "--", METRICS) == {}


def test_the_config_makes_avatars_a_part_of_all(finished):
    assert planned(finished) == {}
    jobs = planned(finished, "--config", "also=[avatars]")
    assert {"evaluate_avatars", "film_avatar", "summarize", "report", "describe_dataset"} <= jobs.keys()
