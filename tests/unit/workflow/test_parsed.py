"""What the parsed workflow says about its rules."""

from types import SimpleNamespace

from facemill.config.root import Config
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


rule bill:
    params:
        **door("bill", settings=CONFIG, code=rule_codes),
"""


def test_a_rule_uses_the_keys_of_the_functions_and_variables_that_it_names(tmp_path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/stage.smk").write_text(RULES)
    rules = [
        SimpleNamespace(name=name, params={"code": lambda _: "0"} if name != "crop" else {})
        for name in ("paint", "crop", "bill")
    ]
    parsed = Parsed(SimpleNamespace(rules=rules), tmp_path)
    assert parsed.config_keys("paint") == {"seed", "gaugan.preset", "gaugan.vgg_weights"}
    assert parsed.config_keys("crop") == {"portraits.size"}
    assert parsed.config_keys("bill") >= set(Config.model_fields)
    assert parsed.code_keys("crop") == {"crop"} and parsed.code_keys("bill") == {"paint", "bill"}
