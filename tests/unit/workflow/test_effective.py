"""The settings of a run in one file."""

import datetime
from collections import OrderedDict

import yaml
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from facemill.workflow.effective import save_config


def test_the_saved_config_over_the_first_one_is_the_same_again(tmp_path):
    path = tmp_path / "results/mine/config.yaml"
    first = {"dataset": "sample", "source": {"images": None}, "hair": {"black": ["#000000"], "red": ["#ff0000"]}}
    merged = OrderedDict(first | {"dataset": "mine", "source": {"images": "~/がんばる"}})
    merged["hair"] = OrderedDict(first["hair"] | {"red": None})
    merged |= {"rate": 1e-05, "switch": "true", "since": datetime.date(2020, 1, 31), "shares": ("0.25", 0.5)}
    save_config(merged, path)
    again = dict(first)
    update_config(again, load_configfile(path))
    assert again == merged | {"shares": ["0.25", 0.5]}
    assert list(yaml.safe_load(path.read_text())) == list(merged)


def test_a_file_that_holds_the_config_is_left_alone_and_any_other_replaced(tmp_path):
    path = tmp_path / "config.yaml"
    for text in ("# by hand\n{seed: 1, dataset: mine}\n", "seed: [", "seed: 2\n"):
        path.write_text(text)
        save_config({"dataset": "mine", "seed": 1}, path)
        assert yaml.safe_load(path.read_text()) == {"dataset": "mine", "seed": 1}
        assert (path.read_text() == text) == text.startswith("# by hand")
