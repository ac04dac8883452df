"""Blocks of metadata are decoded as their lines are alone, without what makes blocks fast: same rows, same rejects."""

import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from facemill.ingest import danbooru, danbooru_tags
from facemill.ingest.danbooru import Decoded, decode
from facemill.ingest.streams import Block, read_blocks

DUMP = {
    "id": "11", "created_at": "2008-06-10 03:08:07.34205 UTC", "score": "-1", "md5": "9a0f", "rating": "s",
    "image_width": "797", "image_height": "794", "file_ext": "jpg", "is_deleted": False, "is_banned": True,
    "source": "https://a.b/c", "tags": [{"id": "1", "name": "1girl", "category": "0"},
    {"id": "2", "name": "someone", "category": "1"}], "favs": ["15115", "159766"], "pools": [],
}  # fmt: skip
API = {
    "id": 12, "created_at": "2020-07-26T10:31:20.176-04:00", "score": 1, "md5": "4f39", "rating": "g", "fav_count": 5,
    "image_width": 1037, "is_deleted": True, "tag_string": "1girl someone_(else)", "tag_string_general": "1girl",
    "tag_string_character": "someone_(else)",
}  # fmt: skip

VALUES = [
    "null", "true", "false", "0", "-0", "7", "-7", "1.0", "1.5", "1e3", "1E400", "NaN", "Infinity", "01", "+1", "0x1",
    "2147483647", "2147483648", "9223372036854775807", "9223372036854775808", str(10**30), "-2147483649", '""', '" "',
    '"7"', '" 7"', '"7 "', '"1.0"', '"1e3"', '"0x1"', '"null"', '"true"', '"NaN"', '"\\u0037"', '"\u0667"', '"s"',
    '"S"', '"2147483648"', f'"{10**30}"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\x01"', '"\\x"', '"a', "[]",
    "[ ]", "{}", "[{}]", "[[]]", '[""]', "[1,2]", '["1","2"]', '["a,b"]', '["a b"]', "[null]", '"a b"', '"[]"',
    '{"a":1}', '[{"a":{"b":[1,{"c":2}]}}]', "[" * 3000 + "]" * 3000, '"2008-06-10"', '"2008-06-10 UTC"', '"20080610"',
    '"0000-01-01"', '"2008-02-30"', '"2008-06-10 03:08:07.1234567"', '"2021-05-06T07:08:09Z"', '"1620284889"',
    '"2008-06-10 03:08:07 CTU"', '"2008-06-10 03:08:07 UTC UTC"', "1620284889", '"yesterday"',
    '[{"name":"a"},{"name":"b","category":"4"}]', '[{"name":"a"} ,{"name":"b"}]', '[{"name":"a"}, {"name":"x},{y"}]',
    '[{"name":"},{"},{"name":"b"}]', '[{"name":","},{"name":"}"},{"name":"{"}]', '[{"name":"\\u3042"},"b c"]',
    '[{"name":"a","category":77}]', '[{"name":"a","category":"x"}]', '[{"name":"a","category":99999999999999999999}]',
    '[{"name":"a","name":"b"}]', '[{"name":1}]', '[{"name":null}]', '[{"id":1}]', '[{"name":"a"},7]', '[{"name":"a"}',
    '[{"name":"},{","x":"},{"}]', '[{"name":"a","x":[{},{}]},{"name":"b"}]', '[{"x":"},{","name":"a"}]',
    '[{"name":"a"} ]', '[{"category":"5","name":"a"}]',
]  # fmt: skip
FIELDS = [*dict.fromkeys([*DUMP, *API]), "tags", "tags", "tags", "created_at"]


def mutated(rng: random.Random) -> bytes:
    """A line: most often a sound post, else one with a field changed, missing or twice, or damaged bytes."""
    post = dict(rng.choice([DUMP, DUMP, DUMP, API]), id=rng.choice(["11", "12", 13, "14", 15, 99]))
    texts = {key: json.dumps(value, separators=(",", ":")) for key, value in post.items()}
    kind = rng.choice(
        ["sound"] * 12 + ["value"] * 6 + ["missing", "twice", "bytes", "cut", "blank", "two", "over two lines"]
    )
    field = rng.choice(FIELDS)
    if kind in ("value", "twice"):
        texts[field] = rng.choice(VALUES)
    elif kind == "missing":
        texts.pop(field, None)
    parts = [f'"{key}":{text}' for key, text in texts.items()]
    if kind == "twice":
        parts.insert(rng.randrange(len(parts)), f'"{rng.choice(FIELDS)}":{rng.choice(VALUES)}')
    line = ("{" + ",".join(parts) + "}").encode(errors="surrogatepass")
    place = rng.randrange(len(line))
    match kind:
        case "bytes":
            return line[:place] + rng.randbytes(rng.randint(1, 3)).replace(b"\n", b"\xff") + line[place + 1 :]
        case "cut":
            return line[:place]
        case "blank":
            return rng.choice([b"", b" ", b"\t\r", b"\x0c", b"\x00"])
        case "two":
            return line + rng.choice([b"", b" ", b",", b"\r"]) + line
        case "over two lines":
            return line.replace(b",", b",\n", 1)
    return line + rng.choice([b"", b"", b"", b" ", b"\r"])


@pytest.fixture
def decode_strictly(monkeypatch):
    """A function that decodes a line alone, as a record of a list, each tag and date by the slower way."""

    def decode_line(line: bytes, number: int, *keys: np.ndarray) -> Decoded:
        with monkeypatch.context() as patches:
            patches.setattr(
                danbooru_tags, "_dumped_tags", lambda *of: danbooru_tags._encode(danbooru_tags._decode_lists(*of))
            )
            patches.setattr(danbooru, "_dates", dates)
            return decode(Block("m", number, [line]), *keys)

    def dates(texts: pa.Array, faults: dict[int, str]) -> pa.Array:
        dates = [danbooru._date(i, text, faults) for i, text in enumerate(texts.to_pylist())]
        return pa.array(dates, pa.timestamp("us", "UTC"))

    return decode_line


def content(*blocks: Decoded) -> tuple:
    """What blocks hold, one after another: line and id of each post, the rows of those with an image, the rejects."""
    posts = [post for d in blocks for post in zip(d.lines.tolist(), d.ids.tolist(), strict=True)]
    rows = [
        (int(line), row)
        for d in blocks
        if d.columns
        for line, row in zip(d.lines[d.wanted], pa.table(d.columns).to_pylist(), strict=True)
    ]
    return posts, rows, [fault for d in blocks for fault in d.broken], sum(d.records for d in blocks)


@pytest.mark.parametrize("seed", range(8))
def test_lines_in_blocks_are_decoded_as_alone(tmp_path: Path, decode_strictly, seed: int):
    rng = random.Random(seed)
    keys = np.array([11, 12, 13, 14]), np.array([b"4f39"], "S33")
    for _ in range(40):
        lines = [json.dumps(DUMP).encode(), *(mutated(rng) for _ in range(rng.randint(0, 12)))]
        text = b"\n".join(lines) + b"\n" * rng.randint(0, 2)
        (tmp_path / "m").write_bytes(text)
        together = [decode(block, *keys) for block in read_blocks(tmp_path / "m", rng.choice([500, 1500, 1 << 20]))]
        alone = [
            decode_strictly(line, number, *keys)
            for number, line in enumerate(text.split(b"\n"), 1)
            if line and not line.isspace()
        ]
        assert content(*together) == content(*alone), text


def test_two_records_on_a_line_and_a_blank_line_do_not_hide_each_other():
    line = json.dumps(DUMP, separators=(",", ":")).encode()
    two, over_two = line + line, line.replace(b",", b",\n", 1)
    for lines, posts, broken in [
        ([line, two, b"", line], [1, 4], [2]),
        ([line, two, over_two, line], [1, 5], [2, 3, 4]),
        ([line, b"", line], [1, 3], []),
    ]:
        decoded = decode(Block("m", 1, b"\n".join(lines)), np.array([11]))
        assert (decoded.lines.tolist(), [number for number, _ in decoded.broken]) == (posts, broken)


def test_some_of_the_lines_are_sound_and_some_are_not(decode_strictly):
    rng = random.Random(0)
    results = [decode_strictly(mutated(rng), 1, np.array([11]), np.zeros(0, "S33")) for _ in range(500)]
    reasons = {reason.split(" - ")[0].rstrip("0123456789)") for result in results for _, reason in result.broken}
    assert 200 < sum(len(result.ids) for result in results) < 450 and len(reasons) > 15
