"""What folders hold, summarized."""

import hashlib

from facemill.data.contents import Everything, summarized


def test_a_summary_depends_on_names_and_sizes_alone(tmp_path):
    for folder, name, text in (("a", "x", "1"), ("b", "x", "2"), ("c", "y", "1"), ("d", "x", "12")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    held = {folder: summarized(Everything(False).files(tmp_path / folder)) for folder in "abcd"}
    listed = hashlib.sha256(b"x\t1\n").hexdigest()
    assert held["a"] == held["b"] == {"files": 1, "bytes": 1, "listing_sha256": listed}
    assert len({summary["listing_sha256"] for summary in held.values()}) == 3


def test_every_suffix_counts_and_each_folder_once(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    for name in ("tags.csv", "b/images.zip", "b/weights", ".hidden"):
        (tmp_path / "a" / name).write_text(name)
    (tmp_path / "a/b/loop").symlink_to(tmp_path / "a")
    names = sorted(file.name for file in Everything(True).files(tmp_path / "a"))
    assert names == ["b/images.zip", "b/weights", "tags.csv"]
