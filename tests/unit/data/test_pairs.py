"""Files by folder and stem."""

from facemill.data.pairs import Names
from facemill.data.walk import files_in


def test_names_are_compared_as_keys_and_the_case_counts_where_it_decides(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("e\u0301.PNG", "A.png", "a.png", "sub/a.png", "B.png"):
        (tmp_path / name).touch()
    names = Names(tmp_path, files_in("--images", tmp_path, (".png",), "image"))

    def beside(folder: str, stem: str) -> list[str]:
        return [file.name for file in names.beside(folder, stem)]

    assert beside("", "\u00e9") == ["e\u0301.PNG"]
    assert beside("", "a") == ["a.png"] and beside("", "b") == ["B.png"] and beside("sub", "b") == []
    assert [file.name for file in names.anywhere("a")] == ["a.png", "sub/a.png"]
    assert [file.name for file in names.named("Sub/A.PNG")] == [] and names.named("sub/A.PNG") == names.beside(
        "sub", "a"
    )
