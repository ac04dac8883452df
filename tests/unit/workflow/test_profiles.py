"""The profiles say for every rule what it needs, on a workstation and on a cluster."""

import os
import re
from pathlib import Path

import pytest
import yaml
from snakemake.profiles import ProfileConfigFileParser

ROOT = Path(__file__).parents[3]
TEXT = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
RULES = dict(re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", TEXT, re.M | re.S))
RULES |= {name: RULES[base] for base, name in re.findall(r"^use rule (\w+) as (\w+)", TEXT, re.M)}


def profile(name: str) -> dict:
    with (ROOT / f"profiles/{name}/config.yaml").open() as file:
        return ProfileConfigFileParser().parse(file)


def test_a_workstation_gives_away_what_it_has():
    given = dict(entry.split("=") for entry in profile("default")["resources"])
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    assert int(given["gpu"]) == (len(list(Path("/dev").glob("nvidia[0-9]*"))) or os.cpu_count())
    assert 0.8 * memory < int(given["mem_mb"]) < memory


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_asks_for_memory_that_grows_and_for_time(rule):
    assert re.search(r"mem_mb=memory\(\d+\)", RULES[rule]) and re.search(r'runtime="\d+[mhd]"', RULES[rule])


@pytest.mark.parametrize("rule", RULES)
def test_rules_go_to_the_partition_of_their_class(rule):
    cluster = profile("slurm")
    partition = dict(entry.rsplit("=", 1) for entry in cluster["set-resources"]).get(f"{rule}:slurm_partition", "cpu")
    assert partition == ("gpu" if re.search("gpu=(1|CONFIG)", RULES[rule]) else "cpu")
    assert "slurm_partition=cpu" in cluster["default-resources"]
    arrays = cluster["slurm-array-jobs"].split(", ")
    assert (rule in arrays) == ("-{shard}.log" in RULES[rule])


def test_what_a_cluster_calls_its_own_stands_in_one_place():
    text = (ROOT / "profiles/slurm/config.yaml").read_text()
    classes = yaml.safe_load(text)["classes"]
    assert all("slurm_partition" in settings for settings in classes.values())
    places = [match.start() for match in re.finditer(r"slurm_partition|slurm_account|gpu_model", text)]
    assert max(places) < text.index("default-resources")
