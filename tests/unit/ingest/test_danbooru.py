import datetime
import json
from pathlib import Path

import polars as pl
import pytest

from facemill.errors import UserError
from facemill.ingest.danbooru import decode, read_danbooru
from facemill.ingest.images import list_images
from facemill.ingest.streams import Block

DUMP = {
    "id": "263162", "created_at": "2008-06-10 03:08:07.34205 UTC", "score": "-1", "md5": "9a0f", "rating": "s",
    "image_width": "797", "image_height": "794", "file_ext": "jpg", "is_deleted": False, "is_banned": True,
    "tags": [{"id": "1", "name": "1girl", "category": "0"}, {"id": "2", "name": "blue_hair", "category": "0"},
             {"id": "3", "name": "someone", "category": "1"}, {"id": "4", "name": "highres", "category": "5"}],
    "favs": ["15115", "159766", "23892"], "pools": [], "source": "https://a.b/c",
}  # fmt: skip
API = {
    "id": 4018204, "created_at": "2020-07-26T10:31:20.176-04:00", "score": 1, "md5": "4f39", "rating": "g",
    "image_width": 1037, "image_height": 988, "file_ext": "png", "is_deleted": True, "is_banned": False,
    "tag_string": "1girl ahoge solo someone_(else)", "tag_string_general": "1girl ahoge solo",
    "tag_string_character": "someone_(else)", "tag_string_artist": "", "fav_count": 5,
}  # fmt: skip


@pytest.fixture
def read(tmp_path: Path, collect, picture):
    """A function that reads metadata files on the images `0162/263162.jpg` and `0204/4018204.jpg`, or others."""

    def tables(*metadata: Path, images: tuple[str, ...] = ("0162/263162.jpg", "0204/4018204.jpg"), **settings):
        for name in images:
            picture(tmp_path / "images" / name)

        def fill(collection):
            images = list_images([tmp_path / "images"], collection.reject)
            max_broken, processes = settings.get("max_broken", 0), settings.get("processes", 1)
            read_danbooru(list(metadata), images, collection, max_broken, processes)

        return collect(fill)

    return tables


def write(path: Path, *records: dict | str) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


def tags(row: dict) -> dict[str, list[str]]:
    return {key.removeprefix("tags_"): value for key, value in row.items() if key.startswith("tags_") and value}


def test_both_forms_give_the_same_typed_posts(tmp_path: Path, read):
    lines = write(tmp_path / "dump.jsonl", DUMP)
    api = write(tmp_path / "api.json", json.dumps([API], indent=1))
    posts, rejects = read(lines, api)
    dump_row, api_row = posts.to_dicts()
    assert rejects.is_empty()
    assert dump_row | {
        "id": "263162", "md5": "9a0f", "rating": "s", "score": -1, "fav_count": 3, "width": 797, "height": 794,
        "created_at": datetime.datetime(2008, 6, 10, 3, 8, 7, 342050, datetime.UTC), "ext": "jpg",
        "is_deleted": False, "is_banned": True, "source": "https://a.b/c",
        "path": f"{tmp_path}/images/0162/263162.jpg", "offset": None, "length": None,
    } == dump_row  # fmt: skip
    assert tags(dump_row) == {"general": ["1girl", "blue_hair"], "artist": ["someone"], "meta": ["highres"]}
    assert api_row | {
        "id": "4018204", "md5": "4f39", "rating": "g", "score": 1, "fav_count": 5, "width": 1037, "height": 988,
        "created_at": datetime.datetime(2020, 7, 26, 14, 31, 20, 176000, datetime.UTC), "ext": "png",
        "is_deleted": True, "is_banned": False, "path": f"{tmp_path}/images/0204/4018204.jpg",
    } == api_row  # fmt: skip
    assert tags(api_row) == {"general": ["1girl", "ahoge", "solo"], "character": ["someone_(else)"]}


def test_the_api_form_as_lines_among_the_dump_s(tmp_path: Path, read):
    posts, rejects = read(write(tmp_path / "a.jsonl", API, "", DUMP))
    assert posts["id"].to_list() == ["4018204", "263162"] and rejects.is_empty()
    assert [list(tags(row)) for row in posts.to_dicts()] == [["general", "character"], ["general", "artist", "meta"]]
    alone, _ = read(write(tmp_path / "b.jsonl", {k: v for k, v in API.items() if not k.startswith("tag_string_")}))
    assert tags(alone.row(0, named=True)) == {"general": ["1girl", "ahoge", "solo", "someone_(else)"]}


def test_a_post_that_says_little(tmp_path: Path, read):
    posts, _ = read(write(tmp_path / "a.jsonl", {"id": "263162", "tags": [], "favs": [], "created_at": ""}))
    row = posts.row(0, named=True)
    assert (row["fav_count"], row["created_at"], row["score"], tags(row)) == (0, None, None, {})


TAG_LISTS = {
    "spaces": '[ {"id": "1", "name": "a"} , {"id": "2", "name": "b"} ]',
    "braces in a name": '[{"name":"},{"},{"name":"b"}]',
    "escapes": '[{"name":"\\u3042"},{"name":"b","category":"4"}]',
    "null": "null",
}


@pytest.mark.parametrize("text", TAG_LISTS.values(), ids=TAG_LISTS)
def test_lists_of_tags_in_another_notation(text: str):
    expected = [tag["name"] for tag in json.loads(text) or []]
    decoded = decode(Block("m", 1, f'{{"id":1,"tags":{text}}}\n'.encode()), pl.Series([1]).to_numpy())
    if text == "null":
        assert decoded.broken[0][0] == 1 and decoded.broken[0][1].startswith("tags: ")
    else:
        assert [
            tag
            for row in zip(*(decoded.columns[f"tags_{c}"].to_pylist() for c in ("general", "character")), strict=True)
            for tags in row
            for tag in tags
        ] == expected


def test_flat_folders_and_the_portraits_set(tmp_path: Path, read):
    names = ("263162_1.jpg", "263162-0.png", "cover.jpg", "99x.jpg", "\uff19.jpg")
    posts, rejects = read(write(tmp_path / "m.jsonl", DUMP), images=names)
    assert posts["id"].to_list() == ["263162-0", "263162_1"]
    assert posts["score"].to_list() == [-1, -1] and posts["tags_artist"].to_list() == [["someone"]] * 2
    assert dict(rejects.select("id", "reason").rows()) == {
        "cover": "its name begins with no post's id and is no MD5",
        "99x": "its name begins with no post's id and is no MD5",
        "\uff19": "its name begins with no post's id and is no MD5",  # a wide 9
    }


MD5S = ["3f0c9a2b1c4d5e6f708192a3b4c5d6e7", "12ab34cd56ef7890aabbccddeeff0011", "0" * 30 + "65"]


def test_images_named_by_md5_belong_to_the_post_with_it(tmp_path: Path, read):
    """Never to the post whose id the MD5 begins with."""
    others = [DUMP | {"id": "3", "md5": "0" * 32, "score": "3"}, DUMP | {"id": "12", "md5": None, "score": "12"}]
    posts = [API | {"id": 7001 + i, "md5": md5, "score": 7001 + i} for i, md5 in enumerate(MD5S)]
    names = [f"3f/{MD5S[0]}.jpg", f"__1girl_drawn_by_x__{MD5S[1].upper()}.jpg", f"sample-{MD5S[2]}.jpg"]
    names += ["7001.jpg", "f" * 32 + ".jpg", "2021-05-06.jpg"]
    table, rejects = read(write(tmp_path / "m.jsonl", *others, *posts, posts[0]), images=tuple(names))
    assert dict(table.select("id", "score").rows()) == {
        "7001": 7001, MD5S[0]: 7001, f"__1girl_drawn_by_x__{MD5S[1].upper()}": 7002, f"sample-{MD5S[2]}": 7003,
    }  # fmt: skip
    assert rejects.select("id", "reason").rows() == [
        ("3", "no image file with this id"),
        ("12", "no image file with this id"),
        ("7001", "an earlier post has the same id"),
        ("2021-05-06", "its name begins with no post's id and is no MD5"),
        ("f" * 32, "the metadata names no such image"),
    ]


def test_files_of_gallery_dl(tmp_path: Path, read):
    """An object a file, indented, or lines; `tags` has the words of tag_string again, without their categories."""
    records = [API | {"id": 101 + i, "md5": MD5S[i], "tags": API["tag_string"].split()} for i in range(3)]
    names = [f"danbooru_{101 + i}_{MD5S[i]}" for i in range(3)]
    images = tuple(f"{name}.jpg" for name in names)
    lines = write(tmp_path / "all.jsonl", *records)
    sidecars = [write(tmp_path / f"{i}.jpg.json", json.dumps(record, indent=4)) for i, record in enumerate(records)]
    for metadata in ([lines], sidecars):
        posts, rejects = read(*metadata, images=images)
        assert posts["id"].to_list() == names and rejects.is_empty()
        assert [tags(row) for row in posts.to_dicts()] == [
            {"general": ["1girl", "ahoge", "solo"], "character": ["someone_(else)"]}
        ] * 3


@pytest.mark.parametrize(
    "form",
    [
        lambda records: "\n".join(json.dumps(record, indent=2) for record in records),
        lambda records: json.dumps({"posts": records}),
        lambda records: json.dumps({"page": 1, "posts": records}, indent=1),
    ],
    ids=["jq", "wrapped", "wrapped and indented"],
)
def test_other_forms_of_a_list(tmp_path: Path, read, form):
    posts, rejects = read(write(tmp_path / "m.json", form([DUMP, API])))
    assert posts["id"].to_list() == ["263162", "4018204"] and rejects.is_empty()
    assert posts["score"].to_list() == [-1, 1]


def test_a_broken_object_among_others_of_several_lines(tmp_path: Path, read):
    texts = [json.dumps(record, indent=2) for record in (DUMP, DUMP | {"id": "x"}, API)]
    posts, rejects = read(write(tmp_path / "m.json", *texts), max_broken=0.5)
    assert posts["id"].to_list() == ["263162", "4018204"]
    assert [(line, reason[:25]) for _, line, _, reason in rejects.rows()] == [(2, "broken metadata: Expected")]


@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff"])
def test_an_empty_file_is_a_broken_record(tmp_path: Path, read, content: str):
    (tmp_path / "empty.json").write_text(content)
    posts, rejects = read(write(tmp_path / "m.json", DUMP, API), tmp_path / "empty.json", max_broken=0.5)
    assert len(posts) == 2
    assert rejects.rows() == [(f"{tmp_path}/empty.json", 1, None, "broken metadata: an empty file")]
    with pytest.raises(UserError, match=r"^1 of 1 metadata records are broken, .*/empty.json:1: an empty file"):
        read(tmp_path / "empty.json")


@pytest.mark.parametrize("value", [["1girl", "blue hair"], "1girl blue_hair", [{"name": "1girl"}, "blue_hair"]])
def test_tags_as_words(tmp_path: Path, read, value):
    posts, _ = read(write(tmp_path / "m.jsonl", {"id": 263162, "tags": value}), images=("263162.jpg",))
    assert tags(posts.row(0, named=True)) == {"general": ["1girl", "blue_hair"]}


@pytest.mark.parametrize("value", [1620284889, "1620284889", "2021-05-06T07:08:09Z", "2021-05-06T03:08:09-04:00"])
def test_dates(tmp_path: Path, read, value):
    posts, _ = read(write(tmp_path / "m.jsonl", DUMP | {"created_at": value}), images=("263162.jpg",))
    assert posts["created_at"].to_list() == [datetime.datetime(2021, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)]


@pytest.mark.parametrize("processes", [1, 2])
def test_blocks_in_several_processes(tmp_path: Path, read, monkeypatch, processes: int):
    monkeypatch.setattr("facemill.ingest.danbooru.BLOCK", 2000)
    records = [DUMP | {"id": str(i), "score": str(i % 7)} for i in range(40)]
    path = write(tmp_path / "m.jsonl", *records[:20], '{"id"', *records[20:])
    posts, rejects = read(path, images=tuple(f"{i}.jpg" for i in range(40)), max_broken=0.1, processes=processes)
    assert posts["id"].to_list() == [str(i) for i in range(40)]
    assert posts["score"].to_list() == [i % 7 for i in range(40)]
    assert [(source, line) for source, line, *_ in rejects.rows()] == [(str(path), 21)]


BROKEN = {
    "truncated": json.dumps(DUMP)[:99],
    "no id": json.dumps({"score": "1"}),
    "unknown rating": json.dumps(DUMP | {"rating": "x"}),
    "no number": json.dumps(DUMP | {"image_width": "wide"}),
    "too large": json.dumps(DUMP | {"score": "99999999999"}),
    "no date": json.dumps(DUMP | {"created_at": "yesterday"}),
    "negative id": json.dumps(DUMP | {"id": "-4"}),
    "a tag, no post": json.dumps({"id": 1, "name": "x", "category": 1}),
    "tags of another form": json.dumps(DUMP | {"tags": {"1girl": 0}}),
    "nested too deeply": f'{{"id": 1, "tags": {"[" * 9999}{"]" * 9999}}}',
    "no UTF-8": '{"id": "1", "md5": "\udcff"}',
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
def test_broken_lines_are_rejected_with_their_place(tmp_path: Path, read, line: str):
    path = tmp_path / "m.jsonl"
    path.write_bytes(b"\n".join([json.dumps(API).encode(), b"", line.encode(errors="surrogateescape"), b""]))
    posts, rejects = read(path, max_broken=0.5)
    assert posts["id"].to_list() == ["4018204"]
    (source, number, post_id, reason), (unnamed, *_) = rejects.rows()
    assert (source, number, post_id) == (str(path), 3, None)
    assert reason.startswith("broken metadata: ")
    assert unnamed.endswith("263162.jpg")
    with pytest.raises(UserError, match=r"1 of 2 metadata records are broken, the first .*m.jsonl:3: "):
        read(path, max_broken=0.49)


def test_posts_without_image_images_without_post_and_repeats_are_rejected(tmp_path: Path, read):
    path = write(tmp_path / "m.jsonl", DUMP, DUMP | {"id": "77", "file_ext": "mp4"}, DUMP | {"score": 9}, DUMP)
    again = write(tmp_path / "n.jsonl", DUMP)
    posts, rejects = read(path, again)
    assert posts["id"].to_list() == ["263162"] and posts["score"].to_list() == [-1]
    assert rejects.rows() == [
        (str(path), 2, "77", "no image file with this id"),
        (str(path), 3, "263162", "an earlier post has the same id"),
        (str(path), 4, "263162", "an earlier post has the same id"),
        (str(again), 1, "263162", "an earlier post has the same id"),
        (f"{tmp_path}/images/0204/4018204.jpg", None, "4018204", "the metadata names no such image"),
    ]
