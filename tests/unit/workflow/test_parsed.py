"""What the parsed workflow says about its rules."""

from types import SimpleNamespace

from facemill.workflow.parsed import Parsed

RULES = """\
LIMIT = CONFIG.portraits.size


def settings(wildcards):
    shared = CONFIG.seed
    return shared, CONFIG.gaugan.preset


rule paint:
    input:
        *config_file("gaugan.vgg_weights"),
    params:
        settings=settings,


rule crop:
    params:
        size=LIMIT,
"""


def test_a_rule_uses_the_keys_of_the_functions_and_variables_that_it_names(tmp_path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/stage.smk").write_text(RULES)
    parsed = Parsed(SimpleNamespace(rules=[SimpleNamespace(name="paint"), SimpleNamespace(name="crop")]), tmp_path)
    assert parsed.config_keys("paint") == {"seed", "gaugan.preset", "gaugan.vgg_weights"}
    assert parsed.config_keys("crop") == {"portraits.size"}
