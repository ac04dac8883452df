"""What `make generated` writes from the parsed rules."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from facemill.errors import UserError
from facemill.workflow.generated import code_json, dvc_yaml, slurm_profile
from facemill.workflow.parsed import Job
from facemill.workflow.provenance import code_digest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def config() -> dict:
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())


def test_the_files_of_the_project_are_in_step(parsed, config):
    profile = (ROOT / "profiles/slurm/config.yaml").read_text()
    assert (ROOT / "code.json").read_text() == code_json(parsed)
    assert (ROOT / "dvc.yaml").read_text() == dvc_yaml(parsed, config)
    assert profile == slurm_profile(parsed, profile)


def test_every_rule_has_the_digest_of_its_door(parsed):
    digests = json.loads(code_json(parsed))
    assert digests["train_vae"] == code_digest(ROOT / "scripts/train_vae.py")
    assert digests["train_fold"] == digests["train_unet"]
    assert digests.keys() == {name for name, rule in parsed.rules.items() if list(rule.output)}


def test_a_stage_names_what_its_rules_read(parsed, config):
    stages = yaml.safe_load(dvc_yaml(parsed, config))["stages"]
    gaugan = stages["gaugan"]
    assert {"code.json": ["describe_gaugan", "evaluate_gaugan", "train_gaugan"]} in gaugan["params"]
    keys = gaugan["params"][1]["config/config.yaml"]
    assert {"gaugan", "seed", "holdout", "portraits.shards"} <= set(keys)
    made = ("portraits", "rejects", "pseudo_labels", "timings", "gate", "unet")
    needs = {f"results/sample/{product}" for product in made}
    assert set(gaugan["deps"]) == needs
    assert gaugan["outs"] == [{"results/sample/gaugan": {"persist": True}}]


def test_stages_hold_all_products_of_a_run_and_come_after_what_they_need(parsed, config):
    stages = yaml.safe_load(dvc_yaml(parsed, config))["stages"]
    made = set()
    for stage in stages.values():
        assert set(stage["deps"]) <= made
        made |= {path for out in stage["outs"] for path in out}
    jobs = parsed.jobs("all")
    assert all(any(Path(path).is_relative_to(out) for out in made) for job in jobs for path in job.outputs)


def test_products_that_need_each_other_are_named():
    def job(product: str, need: str) -> Job:
        return Job(SimpleNamespace(name=product), [f"results/sample/{need}/a"], [f"results/sample/{product}/a"])

    jobs = [job("unet", "pseudo_labels"), job("pseudo_labels", "unet"), job("labels", "source")]
    with pytest.raises(UserError, match="rules: pseudo_labels, unet need each other"):
        dvc_yaml(SimpleNamespace(jobs=lambda target: jobs), {})


def test_figures_and_metrics_are_what_the_rules_mark(parsed, config):
    content = yaml.safe_load(dvc_yaml(parsed, config))
    assert content["metrics"] == ["results/sample/summary.json"]
    plots = [plot for plot in content["plots"] if isinstance(plot, str)]
    assert "results/sample/gaugan/gaugan.png" in plots
    assert any("vae: reconstruction_l1" in plot for plot in content["plots"] if isinstance(plot, dict))


def test_the_bill_of_materials_follows_all_code_and_settings(parsed, config):
    codes, settings = yaml.safe_load(dvc_yaml(parsed, config))["stages"]["bom"]["params"]
    assert codes == {"code.json": sorted(json.loads(code_json(parsed)))}
    assert settings == {"config/config.yaml": sorted(config)}


def test_the_stages_of_another_dataset_name_its_settings_sources_and_files(parsed, config):
    content = yaml.safe_load(dvc_yaml(parsed, config | {"dataset": "mine"}, Path("datasets/mine/config.yaml")))
    sample = yaml.safe_load(dvc_yaml(parsed, config))
    stages = content["stages"]
    assert list(stages) == list(sample["stages"]) and {stage["wdir"] for stage in stages.values()} == {"../.."}
    files = [path for stage in stages.values() for path in [*stage["deps"], *(str(out) for out in stage["outs"])]]
    assert not any("config.yaml" in path for path in files)  # the settings, which git has: their keys are params
    posts, gaugan = stages["posts"], stages["gaugan"]
    assert "--configfile datasets/mine/config.yaml -- " in posts["cmd"]
    assert "source" in posts["params"][1]["datasets/mine/config.yaml"]
    assert "datasets/mine/sources.json" in posts["deps"] and "datasets/mine/sources.json" not in gaugan["deps"]
    assert content["metrics"] == [f"../../{path}" for path in sample["metrics"]]
    assert "../../results/sample/gaugan/gaugan.png" in content["plots"]
    curves = [path for plot in content["plots"] if isinstance(plot, dict) for [y] in [plot.values()] for path in y["y"]]
    assert curves and all(path.startswith("../../results/") for path in curves)
