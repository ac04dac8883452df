"""Configs for tests: the sample's with changes."""

from copy import deepcopy
from functools import cache
from pathlib import Path

import yaml
from snakemake.utils import update_config

ROOT = Path(__file__).parents[2]


def sample_config(**changes) -> dict:
    """The content of `config.yaml` with changes, merged as Snakemake merges an overlay."""
    content = deepcopy(read("config"))
    update_config(content, changes)
    return content


def overlaid(name: str, **changes) -> dict:
    """The content of `config.yaml` with that of `config/<name>.yaml`, then with changes."""
    content = sample_config(**deepcopy(read(name)))
    update_config(content, changes)
    return content


@cache
def read(name: str) -> dict:
    """The content of `config/<name>.yaml`, which takes PyYAML longer than a test."""
    return yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())
