"""The workflow as Snakemake parses it: its rules, and the jobs of its default target."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from snakemake.api import ConfigSettings, OutputSettings, ResourceSettings, SnakemakeApi
from snakemake.io import apply_wildcards
from snakemake.settings.enums import Quietness

from facemill.config.root import Config
from facemill.workflow.doors import code_digests

DEFINITION = re.compile(r" {0,4}(?:rule (\w+):|use rule \w+ as (\w+) with:|def (\w+)\(|(\w+) = )")
"""The first line of a definition in a file of rules: a rule, a function, a variable."""

USED_KEY = re.compile(r'\bCONFIG\.([a-z_0-9.]+)|\bconfig_file\(f?"([a-z_0-9.]+)|\b(unet)_settings\(CONFIG')
"""Keys of the config that a definition uses; `unet_settings` reads the section `unet`."""

WHOLE_CONFIG, ALL_CODES = re.compile(r"=CONFIG\b(?!\.)"), re.compile(r"=rule_codes\b")
"""Settings of a rule that hold all of the config, or the digests of all rules' code."""


class Job(NamedTuple):
    """One job of a rule."""

    rule: Any
    inputs: list[str]
    outputs: list[str]


class Parsed:
    """The rules of a parsed workflow, by name, and what follows from them."""

    def __init__(self, workflow: Any, root: Path) -> None:
        self.rules: dict[str, Any] = {rule.name: rule for rule in workflow.rules}
        self.root = root

    def jobs(self, target: str) -> list[Job]:
        """The jobs that a target rule needs, directly or through the inputs of other jobs."""
        wanted = [str(path) for path in self.rules[target].input]
        jobs: dict[tuple[str, ...], Job] = {}
        for path in wanted:  # grows as it is walked
            rule = next((r for r in self.rules.values() if r.is_producer(path)), None)
            if rule is None:
                continue
            values = rule.get_wildcards(path)
            inputs = [apply_wildcards(str(pattern), values) for pattern in rule.input]
            outputs = [apply_wildcards(str(pattern), values) for pattern in rule.output]
            if tuple(outputs) not in jobs:
                jobs[tuple(outputs)] = Job(rule, inputs, outputs)
                wanted += inputs
        return list(jobs.values())

    def config_keys(self, rule: str) -> set[str]:
        """The keys of the config that a rule's definition uses, itself or through what it names."""
        keys: set[str] = set()
        visited, queue = {rule}, [rule]
        while queue:
            text = self._definitions[queue.pop()]
            keys |= {key for match in USED_KEY.findall(text) for key in match if key}
            keys |= set(Config.model_fields) if WHOLE_CONFIG.search(text) else set()
            names = set(re.findall(r"\b\w+\b", text)) & self._definitions.keys() - self.rules.keys() - visited
            visited |= names
            queue += names
        return keys

    def code_keys(self, rule: str) -> set[str]:
        """The rules whose code's digests a rule depends on: itself, or all that run code."""
        if ALL_CODES.search(self._definitions[rule]):
            return set(code_digests(self.rules.values()))
        return {rule}

    @cached_property
    def _definitions(self) -> dict[str, str]:
        """The text of every definition in the files of rules, by its name."""
        texts: dict[str, str] = {}
        for path in sorted(self.root.glob("rules/*.smk")):
            name, in_function = "", False
            for line in path.read_text().splitlines():
                if line[:1].strip():
                    in_function = line.startswith("def ")
                local = in_function and line.startswith(" ")  # a function's variables are a part of it
                if not local and (match := DEFINITION.match(line)):
                    name = next(group for group in match.groups() if group)
                texts[name] = f"{texts.get(name, '')}{'' if line.startswith('#') else line}\n"
        texts.pop("", None)
        return texts


@contextmanager
def parse(root: Path, config: Path | None = None) -> Iterator[Parsed]:
    """Yields the workflow whose `Snakefile` lies in `root`, which is the working directory meanwhile.

    `config` is merged over `config/config.yaml`, as Snakemake's `--configfile`.
    Snakemake's API has no public door to parsed rules; `pyproject.toml` bounds its version.
    """
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[config] if config else []),
            snakefile=root / "Snakefile",
            workdir=root,
        )
        yield Parsed(workflow._workflow, root)
