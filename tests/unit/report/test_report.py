"""The report is made by a second Snakemake; its failure is the user's to read."""

from pathlib import Path

import pytest

from facemill.errors import UserError
from facemill.report.report import report

SNAKEFILE = """
rule all:
    default_target: True
    input:
        "figure.png",

rule draw:
    output:
        {output},
    shell:
        "touch {{output}}"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_report_that_fails_is_a_line_with_what_snakemake_says_and_leaves_nothing(folder):
    (folder / "Snakefile").write_text("rule draw\n")
    with pytest.raises(UserError, match=r"report.html: Snakemake's report failed\n(.|\n)*SyntaxError"):
        report(snakefile=folder / "Snakefile", config="{}", figures=[], report=folder / "report.html")
    assert not (folder / "report.html").exists() and not list(folder.glob("work/*.json"))


def test_a_report_holds_the_figures(folder):
    (folder / "Snakefile").write_text(SNAKEFILE.format(output='report("figure.png", category="1 Figures")'))
    (folder / "figure.png").write_bytes(b"\x89PNG\r\n")
    report(
        snakefile=folder / "Snakefile",
        config="{}",
        figures=[Path("figure.png")],
        report=folder / "report.html",
    )
    assert "figure.png" in (folder / "report.html").read_text()
    assert not list(folder.glob("work/*.json"))
