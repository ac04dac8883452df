"""Every rule says what it needs, and the profiles hand it out, on a workstation and on a cluster."""

import os
import re
from pathlib import Path

import pytest
import yaml
from snakemake.profiles import ProfileConfigFileParser

from facemill.data.dataset import MAX_WORKERS, WINDOW_GROUPS
from facemill.data.shards import ROWS_PER_GROUP

ROOT = Path(__file__).parents[3]


def profile(name: str) -> dict:
    with (ROOT / f"profiles/{name}/config.yaml").open() as file:
        return ProfileConfigFileParser().parse(file)


def test_a_workstation_gives_away_what_it_has():
    given = dict(entry.split("=") for entry in profile("default")["resources"])
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    assert int(given["gpu"]) == (len(list(Path("/dev").glob("nvidia[0-9]*"))) or os.cpu_count())
    assert 0.8 * memory < int(given["mem_mb"]) < memory


@pytest.mark.parametrize(
    ("name", "defaults"),
    [("default", {"mem_mb=4000", "runtime=60"}), ("slurm", {"mem_mb=4000 * attempt", "runtime=1h"})],
)
def test_a_job_that_says_nothing_asks_for_memory_and_an_hour(name, defaults):
    """On a cluster, which ends what takes more, memory grows with each attempt."""
    assert defaults <= set(profile(name)["default-resources"])


def test_memory_that_a_rule_asks_for_grows_and_its_time_is_a_time(parsed):
    for rule in parsed.rules.values():
        resources = dict(rule.resources)
        if "mem_mb" in resources:
            memory = resources["mem_mb"]._value
            assert memory(None, attempt=3) == 3 * memory(None, attempt=1), rule
        assert "runtime" not in resources or isinstance(resources["runtime"].value, int), rule


def test_trainings_ask_for_the_memory_that_their_loaders_hold(parsed):
    """The planning of jobs does not import torch, so `rules/common.smk` has the numbers of `data/dataset.py` again."""
    size = yaml.safe_load((ROOT / "config/config.yaml").read_text())["portraits"]["size"]
    loader_mb = MAX_WORKERS * WINDOW_GROUPS * ROWS_PER_GROUP * size**2 / 2 / 2**20
    for name, mb in {
        "train_unet": 6000 + loader_mb,
        "train_fold": 6000 + loader_mb,
        "self_train_unet": 6000 + 2 * loader_mb,
        "train_token_unet": 6000 + loader_mb,
        "train_token_fold": 6000 + loader_mb,
        "distill_unet": 6000 + 2 * loader_mb,
        "train_vae": 8000 + loader_mb,
        "train_gaugan": 12000 + loader_mb,
    }.items():
        assert parsed.rules[name].resources["mem_mb"]._value(None, attempt=1) == mb, name


def test_rules_go_to_the_partition_of_their_class(parsed):
    cluster = profile("slurm")
    partitions = dict(entry.rsplit("=", 1) for entry in cluster["set-resources"])
    arrays = cluster["slurm-array-jobs"].split(", ")
    assert "slurm_partition=cpu" in cluster["default-resources"]
    for name, rule in parsed.rules.items():
        wanted = "gpu" if dict(rule.resources).get("gpu") else "cpu"
        assert partitions.get(f"{name}:slurm_partition", "cpu") == wanted
        assert (name in arrays) == ("shard" in rule.wildcard_names)


def test_what_a_cluster_calls_its_parts_stands_in_one_place():
    text = (ROOT / "profiles/slurm/config.yaml").read_text()
    classes = yaml.safe_load(text)["classes"]
    assert all("slurm_partition" in settings for settings in classes.values())
    places = [match.start() for match in re.finditer(r"slurm_partition|slurm_account|gpu_model", text)]
    assert max(places) < text.index("default-resources")
