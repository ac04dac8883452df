"""Files that are generated from the parsed rules: `python -m facemill.workflow.generated`, a part of `make generated`.

- `code.json`: the digest of the code behind every rule, which DVC's stages depend on.
- `dvc.yaml`: a stage for each product of the config's dataset, with what its rules read, in files and settings.
- `profiles/slurm/config.yaml`: which rules need a GPU and which run as arrays, between two marks.

`dvc.yaml` of other datasets, in `datasets/<dataset>/`, is made as they are shared (`facemill/workflow/dvc.py`).
"""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from facemill.errors import UserError
from facemill.workflow.doors import code_digests
from facemill.workflow.parsed import Job, Parsed, parse

HEAD = """\
# Generated from the rules{by}. A stage a product: Snakemake makes it, DVC versions and shares it.
#   dvc repro            makes what is stale, stage after stage
#   dvc metrics show     the numbers; `dvc metrics diff` against another commit's
# `persist` keeps what is there before a stage runs, so that Snakemake resumes from it.
"""
SETTINGS = Path("config/config.yaml")
SOURCES = "sources.json"
"""The listing of the files that a dataset's config names, beside its `dvc.yaml`."""

BEGIN, END = "# generated from the rules by `make generated`\n", "# end of what is generated\n"


def code_json(parsed: Parsed) -> str:
    """The digest of the code behind every rule, as JSON."""
    return json.dumps(code_digests(parsed.rules.values()), indent=2, sort_keys=True) + "\n"


def dvc_yaml(parsed: Parsed, config: dict[str, Any], settings: Path = SETTINGS) -> str:
    """The stages of all products that the default target needs, in the order in which they are made.

    Args:
        parsed: the workflow, parsed with these settings.
        config: the content of `settings`.
        settings: the file whose keys are DVC's params, within the project. Where it is not the sample's, `dvc.yaml` is
            meant for the folder that it lies in. Git has it, and each run writes it to `results/<dataset>/config.yaml`,
            `snakemake --touch` of `restore` too: that file is no stage's.
    """
    products: dict[str, list[Job]] = defaultdict(list)
    for job in reversed(parsed.jobs("all")):
        products[_product(job.outputs[0])].append(job)
    outs = {product: sorted({_out(path) for job in jobs for path in job.outputs}) for product, jobs in products.items()}
    stages = {product: _stage(parsed, config, product, jobs, outs) for product, jobs in _ordered(products)}
    shown = sorted(_shown(products))
    metrics, pictures = ([path for path in shown if path.endswith(suffix)] for suffix in (".json", ".png"))
    curves = _curves(products)
    by = " by `make generated`"
    if settings != SETTINGS:
        stages, by = _placed(stages, settings), f" by `scripts/share.py {config['dataset']}`"
        up = os.path.relpath(".", settings.parent)
        metrics, pictures = ([f"{up}/{path}" for path in paths] for paths in (metrics, pictures))
        for [plot] in map(dict.values, curves):
            plot["y"] = {f"{up}/{path}": column for path, column in plot["y"].items()}
    content = {"stages": stages, "metrics": metrics, "plots": curves + pictures}
    return HEAD.format(by=by) + yaml.safe_dump(content, sort_keys=False, width=1000)


def _placed(stages: dict[str, Any], settings: Path) -> dict[str, Any]:
    """The stages as they are in a `dvc.yaml` beside other settings: with a working directory, params and sources."""
    wdir = {"wdir": os.path.relpath(".", settings.parent)}
    placed = {}
    for name, stage in stages.items():
        cmd = stage["cmd"].replace(" -- ", f" --configfile {settings} -- ", 1)
        keys = [key for params in stage["params"] for key in params.get(str(SETTINGS), [])]
        params = [params for params in stage["params"] if str(SETTINGS) not in params]
        params += [{str(settings): keys}] if keys else []
        read = any(key.split(".")[0] == "source" for key in keys)
        sources = [str(settings.with_name(SOURCES))] if read else []
        placed[name] = {"cmd": cmd, **wdir, "params": params, "deps": stage["deps"] + sources, "outs": stage["outs"]}
    return placed


def _ordered(products: dict[str, list[Job]]) -> list[tuple[str, list[Job]]]:
    """The products, each after the products that it needs."""
    ordered: dict[str, list[Job]] = {}
    while left := {product: jobs for product, jobs in products.items() if product not in ordered}:
        for product, jobs in left.items():
            if _needs(product, jobs) & products.keys() <= ordered.keys():
                ordered[product] = jobs
        if left.keys().isdisjoint(ordered):
            raise UserError(
                f"rules: {', '.join(sorted(left))} need each other; accepted: products, the folders "
                "results/<dataset>/<product>, that need others in one direction, as DVC's stages do"
            )
    return list(ordered.items())


def _needs(product: str, jobs: list[Job]) -> set[str]:
    """The other products that a product's jobs read, and `""` for files that are no product's."""
    return {_product(path) for job in jobs for path in job.inputs} - {product}


def _stage(
    parsed: Parsed, config: dict[str, Any], product: str, jobs: list[Job], outs: dict[str, list[str]]
) -> dict[str, Any]:
    rules = {job.rule.name for job in jobs}
    codes = sorted(code for rule in rules for code in parsed.code_keys(rule))
    keys = {key for rule in rules for key in map(lambda k: _known(k, config), parsed.config_keys(rule)) if key}
    keys = {key for key in keys if not any(key.startswith(f"{other}.") for other in keys)}
    needs = _needs(product, jobs) & outs.keys()
    return {
        "cmd": f"snakemake --cores all -- {' '.join(_targets(parsed, product, jobs))}",
        "params": [{"code.json": codes}, *([{str(SETTINGS): sorted(keys)}] if keys else [])],
        "deps": sorted(out for need in needs for out in outs[need]),
        "outs": [{out: {"persist": True}} for out in outs[product]],
    }


def _targets(parsed: Parsed, product: str, jobs: list[Job]) -> list[str]:
    """A target rule of the product's name, or else the files that no job of the product reads."""
    if product in parsed.rules and not list(parsed.rules[product].output):
        return [product]
    read = {path for job in jobs for path in job.inputs}
    return sorted(job.outputs[0] for job in jobs if not read & set(job.outputs))


def _product(path: str) -> str:
    """`unet` for results/sample/unet/v1/model.json, `summary` for results/sample/summary.json."""
    parts = Path(path).parts
    return "" if len(parts) < 3 or parts[0] != "results" else Path(parts[2]).stem if len(parts) == 3 else parts[2]


def _out(path: str) -> str:
    """The folder of a product, or a file beside such folders."""
    return str(Path(*Path(path).parts[:3]))


def _known(key: str, config: dict[str, Any]) -> str:
    """The longest beginning of a dotted key that the config holds."""
    known: list[str] = []
    content: Any = config
    for part in key.split("."):
        if not isinstance(content, dict) or part not in content:
            break
        known.append(part)
        content = content[part]
    return ".".join(known)


def _shown(products: dict[str, list[Job]]) -> set[str]:
    """The files that the report shows."""
    return {
        path
        for jobs in products.values()
        for job in jobs
        for path, pattern in zip(job.outputs, job.rule.output, strict=True)
        if pattern.flags.get("report")
    }


def _curves(products: dict[str, list[Job]]) -> list[dict[str, Any]]:
    """A plot of the curves of each training."""
    plots = []
    for product, jobs in sorted(products.items()):
        curves = {
            path: pattern.flags["curves"]
            for job in jobs
            for path, pattern in zip(job.outputs, job.rule.output, strict=True)
            if pattern.flags.get("curves")
        }
        for column in sorted({column for columns in curves.values() for column in columns}):
            y = {path: column for path, columns in sorted(curves.items()) if column in columns}
            plots.append({f"{product}: {column}": {"x": "images", "y": y}})
    return plots


def slurm_profile(parsed: Parsed, text: str) -> str:
    """The profile with the lists of rules that need a GPU, and of those that run as arrays."""
    lines = ["set-resources:"]
    arrays = []
    for name, rule in parsed.rules.items():
        resources = dict(rule.resources)
        if resources.get("gpu"):
            training = any(pattern.flags.get("curves") for pattern in rule.output)
            lines.append(f"  {name}: *{'training' if training else 'gpu'}")
        if "shard" in rule.wildcard_names:
            arrays.append(name)
    lines.append(f"slurm-array-jobs: {', '.join(arrays)}")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    return "".join([head, BEGIN, *(f"{line}\n" for line in lines), END, tail])


def generate(root: Path) -> dict[Path, str]:
    """The generated files of a project, each with its content."""
    profile = root / "profiles/slurm/config.yaml"
    config = yaml.safe_load((root / SETTINGS).read_text())
    with parse(root) as parsed:
        return {
            root / "code.json": code_json(parsed),
            root / "dvc.yaml": dvc_yaml(parsed, config),
            profile: slurm_profile(parsed, profile.read_text()),
        }


if __name__ == "__main__":
    for path, content in generate(Path.cwd()).items():
        path.write_text(content)
