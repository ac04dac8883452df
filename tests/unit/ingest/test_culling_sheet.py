import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from facemill.data.shards import encode_jpeg, write_shard
from facemill.errors import UserError
from facemill.ingest.culling_sheet import culling_sheet, read_lists, read_rejected, render_page, render_sheet
from facemill.ingest.portraits import SCHEMA

IDS = ["12", "a/cat.jpg", 'od"d <&> #2', "99#2", "girl, 1", '"so"', " space", "two\nlines", "a //b"]
EXPORTED = '12\na/cat.jpg\nod"d <&> #2\n99#2\n"girl, 1"\n"""so"""\n" space"\n"two\nlines"\n"a //b"\n'
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def page() -> str:
    pixels = np.full((64, 64, 3), 128, np.uint8)
    return render_sheet("mine", "0007", [{"id": i, "image": {"bytes": encode_jpeg(pixels)}} for i in IDS])


def test_a_page_shows_every_portrait_and_needs_no_other_file():
    text = page()
    assert [html.unescape(name) for name in re.findall(r'<figure data-id="([^"]*)"', text)] == IDS
    assert text.count("data:image/jpeg;base64,") == len(IDS)
    assert re.findall(r"(?:src|href)=\"(?!data:)", text) == [] and "http" not in text


def browsed(folder: Path, text: str) -> str:
    """What a browser makes of a page."""
    (folder / "page.html").write_text(text)
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"]
    command = [CHROMIUM, *options, "--virtual-time-budget=3000", "--dump-dom", f"file://{folder}/page.html"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120).stdout


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_click_rejects_and_the_export_has_an_id_a_line(tmp_path: Path):
    """Every portrait is clicked, one of them twice more."""
    script = """<script>
      const click = i => document.querySelectorAll("figure")[i].click();
      for (let i = 8; i >= 0; i--) click(i);
      click(1); click(1);
      URL.createObjectURL = blob => { blob.text().then(t => document.title = JSON.stringify(t)); return "#" };
      document.getElementById("export").click();
    </script></html>"""
    shown = browsed(tmp_path, page().replace("</html>", script))
    assert '<b id="count">9</b>' in shown and shown.count('class="rejected"') == 9
    (title,) = re.findall(r"<title>(.*?)</title>", shown)
    assert json.loads(html.unescape(title)) == EXPORTED


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize(
    ("given", "clicked", "rejected", "shown"),
    [
        ([], None, ["0"], ["0"]),
        ([], ["1"], [], ["1"]),
        ([], ["1"], ["0"], ["0", "1"]),
        (["0", "2"], ["1", "2"], ["0", "2"], ["1", "2"]),  # 0 was clicked to be kept
        (["0", "2"], ["0", "1", "2"], ["2", "3"], ["1", "2", "3"]),
    ],
)
def test_a_renewed_page_keeps_clicks_and_follows_its_list(tmp_path: Path, given, clicked, rejected, shown):
    """`given` was rejected already when the page was seen last, and `clicked` at the end of that."""
    image = {"bytes": encode_jpeg(np.zeros((64, 64, 3), np.uint8))}
    text = render_page("mine", "key", "mine", [{"id": str(i), "image": image} for i in range(4)], "face", rejected)
    stored = {} if clicked is None else {"key": json.dumps(clicked), "key given": json.dumps(given)}
    script = "".join(f"<script>localStorage.setItem({name!r}, {value!r})</script>" for name, value in stored.items())
    page_shown = browsed(tmp_path, text.replace("<script>", f"{script}<script>", 1))
    assert re.findall(r'data-id="(\d)"[^>]*aria-pressed="true"', page_shown) == shown


def test_the_door_writes_the_page_of_a_shard(tmp_path: Path):
    image = {"bytes": encode_jpeg(np.zeros((64, 64, 3), np.uint8)), "path": "1.jpg"}
    write_shard(tmp_path / "shard.parquet", [{"id": "1", "image": image, "tags": [], "source": "s"}], SCHEMA)
    culling_sheet(portraits=tmp_path / "shard.parquet", dataset="mine", shard="0007", page=tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert '<figure data-id="1"' in text and "rejected-0007.txt" in text


def test_lists_are_read_back():
    assert read_rejected("12\n\n a/cat.jpg \r\n99#2 // closed eyes\n", "f") == {"12", "a/cat.jpg", "99#2"}
    assert read_rejected(EXPORTED, "f") == set(IDS)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
def test_lists_of_spreadsheets_and_editors(tmp_path: Path, encoding: str, end: str):
    lines = ["// by hand", '"12"', "13,,", "14 \t// blurred, dark", "a\\cat.jpg", "e\u0301", '"girl, 1", // both']
    (tmp_path / "ids.txt").write_text(end.join(lines), encoding, newline="")
    assert read_lists([tmp_path / "ids.txt"]) == {"12", "13", "14", "a/cat.jpg", "\xe9", "girl, 1"}


@pytest.mark.parametrize("line", ["1,2", "1\t2", '"so" she said', '"open'])
def test_a_line_of_more_than_an_id_is_named(line: str):
    with pytest.raises(UserError, match=f"rejected_ids: f: found {re.escape(repr(line))}; accepted: one id a line, in"):
        read_rejected(f"3\n{line}\n", "f")


def test_a_list_that_is_no_text_is_named(tmp_path: Path):
    (tmp_path / "ids.txt").write_bytes("頭".encode("shift_jis"))
    with pytest.raises(UserError, match="rejected_ids: .*ids.txt: not UTF-8 .*; accepted: a text file saved as UTF-8"):
        read_lists([tmp_path / "ids.txt"])
