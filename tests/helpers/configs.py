"""Configs for tests: the sample's with changes."""

from pathlib import Path

import yaml
from snakemake.utils import update_config

ROOT = Path(__file__).parents[2]


def sample_config(**changes) -> dict:
    """The content of `config.yaml` with changes, merged as Snakemake merges an overlay."""
    content = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    update_config(content, changes)
    return content


def overlaid(name: str, **changes) -> dict:
    """The content of `config.yaml` with that of `config/<name>.yaml`, then with changes."""
    content = sample_config(**yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()))
    update_config(content, changes)
    return content
