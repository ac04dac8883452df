"""The effective config of a run as one file: config files, overlays and `--config` options merged, paths as given."""

from pathlib import Path
from typing import Any

import yaml

from facemill.files import atomic_write

HEAD = """\
# The settings of the last run, all in one: `snakemake --configfile FILE` goes on with them. Written by the workflow.
"""


def save_config(config: dict[str, Any], path: Path) -> None:
    """Writes the merged config of a run as YAML, unless `path` holds it already.

    No rule makes the file, so that no job depends on keys that do not concern it, and a run that reads it as its
    `--configfile` never removes it.
    """
    content = _plain(config)
    if not _holds(path, content):
        with atomic_write(path) as tmp:
            tmp.write_text(HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100))


def _plain(value: Any) -> Any:
    """The dicts and lists of YAML instead of those that Snakemake makes."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _holds(path: Path, content: Any) -> bool:
    try:
        return bool(yaml.safe_load(path.read_text()) == content)
    except (OSError, ValueError, yaml.YAMLError):
        return False
