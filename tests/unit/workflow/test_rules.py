"""What all rules have in common, asked of the parsed workflow."""

import re
from pathlib import Path
from types import SimpleNamespace

from facemill.workflow.signatures import door_of, read_signature

ROOT = Path(__file__).parents[3]
SHELL = re.compile(r"\{params.command\}( --threads \{threads\})? 2>&1 \| tee \{log\}")

OF_FOLDS = {"train_fold": "train_unet", "train_token_fold": "train_token_unet"}
"""Rules that train on a fold, by the doors of others."""


def test_nothing_reaches_a_shell_but_a_command_whose_words_are_quoted(parsed):
    """`facemill.workflow.doors` quotes, and its tests show that it does."""
    shells = {name: rule.shellcmd for name, rule in parsed.rules.items() if rule.shellcmd}
    assert {name: shell for name, shell in shells.items() if not SHELL.fullmatch(shell)} == {}


def test_threads_are_an_option_of_the_doors_that_take_them(parsed):
    for name, rule in parsed.rules.items():
        if rule.shellcmd:
            door = ROOT / "scripts" / f"{OF_FOLDS.get(name, name)}.py"
            takes = "threads" in read_signature(door_of(door))[0].parameters
            assert takes == ("--threads" in rule.shellcmd), name


def test_every_rule_that_runs_code_has_a_log_a_docstring_and_a_digest(parsed):
    for name, rule in parsed.rules.items():
        assert rule.docstring, name
        if list(rule.output):
            assert list(rule.log) and {"code", "command"} <= set(dict(rule.params.items())), name


def test_rules_are_short():
    texts = [
        path.read_text() for path in (ROOT / "rules").glob("*.smk") if path.stem not in ("common", "other", "films")
    ]
    lines = sum(text.count("\n") for text in texts)
    rules = sum(len(re.findall(r"^ *(?:use )?rule ", text, re.M)) for text in texts)
    assert lines / rules <= 26.5


def test_portraits_are_counted_before_anything_is_trained(parsed):
    """A collection that is too small stops at once: what is cheap and may end with nothing goes first."""
    first = ["render_sample", "ingest_posts", "filter_posts", "crop_portraits", "convert_labels", "count_portraits"]
    assert [name for name in first if parsed.rules[name].priority < 2] == []
    on_gpus = {name: rule.priority for name, rule in parsed.rules.items() if dict(rule.resources).get("gpu")}
    later = {name: priority for name, priority in on_gpus.items() if priority}
    assert later.keys() == {"train_unet", "pseudo_label"} and later["pseudo_label"] == 1


def test_what_labels_all_is_trained_first_and_on_all_cores(parsed):
    """The other U-Nets have half of the cores, where nothing long waits for them."""
    rule = parsed.rules["train_unet"]
    wildcards = {version: SimpleNamespace(version=version) for version in ("v1", "v2", "v3")}
    assert {version: rule.priority(of) for version, of in wildcards.items()} == {"v1": 0, "v2": 0, "v3": 1}
    cores = {version: rule.resources["_cores"].evaluate(of, attempt=1, input=[]) for version, of in wildcards.items()}
    assert cores["v3"].value == 8 and cores["v1"].value == cores["v2"].value == 1
