"""The contributor's page, followed to the letter on a finished run."""

import json
import re
import subprocess
import sys
from pathlib import Path

from helpers.running import ROOT, make_generated, planned, snakemake

HEADING = re.compile(r"^## \d\. [^\n]*`([\w/.]+)`\n.*?```python\n(.*?)```", re.M | re.S)


def contents(project: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in project.rglob("*") if path.suffix in (".py", ".smk", ".yaml")}


def test_a_new_rule_touches_few_files_and_joins_report_and_dvc(project):
    before = contents(project)
    blocks = dict(HEADING.findall((ROOT / "docs/new_rule.md").read_text()))
    setting = blocks.pop("facemill/config/latent.py")
    assert setting.startswith("    min_count: Positive")
    for name, text in blocks.items():
        path = project / name
        if path.suffix == ".smk":
            text = f"{path.read_text()}\n\n{text}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    changed = {
        p for p in project.rglob("*") if p.suffix in (".py", ".smk", ".yaml") and before.get(p) != p.read_bytes()
    }
    assert len(changed) == 4

    last = {"summarize": 1, "report": 1, "describe_dataset": 1, "list_materials": 1, "all": 1}
    assert planned(project) == {"count_colors": 1} | last
    code, said = snakemake(project)
    assert code == 0, said
    counts = json.loads((project / "results/tiny/summary.json").read_text())["hair_colors"]
    assert counts["portraits"] == sum(counts["colors"].values()) > 30
    make_generated(project)
    assert "results/tiny/hair_colors" in (project / "dvc.yaml").read_text()
    assert "count_colors" in json.loads((project / "code.json").read_text())

    [test] = [Path(name) for name in blocks if name.startswith("tests/")]
    run = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", str(test)]
    assert subprocess.run(run, cwd=project).returncode == 0
