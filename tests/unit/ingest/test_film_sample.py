import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from facemill.config.ingest import SampleConfig
from facemill.config.label import LabelsConfig
from facemill.data.classes import SEVEN
from facemill.data.film import Frame, about, frames
from facemill.data.shards import decode_mask
from facemill.data.synthetic import read_mark
from facemill.ingest.film_sample import SIZE, film_sample
from facemill.ingest.film_script import FIGURES, MOUTHS, SOUND_RATE, TIME_BASE, script, tone

MERGE = LabelsConfig(**yaml.safe_load((Path(__file__).parents[3] / "config/config.yaml").read_text())["labels"])
FEW = 24


def draw(folder: Path) -> Path:
    film_sample(
        settings=SampleConfig(portraits=1, labelled=1, frames=FEW),
        seed=3,
        classes=SEVEN,
        labels=MERGE,
        films=folder / "films",
        truth=folder / "films.parquet",
    )
    return folder


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def truth(sample: Path) -> dict[str, list[dict]]:
    rows = pq.read_table(sample / "films.parquet").to_pylist()
    return {film: [row for row in rows if row["film"] == film] for film in "ab"}


@pytest.fixture(scope="module")
def shown(sample: Path) -> dict[str, list[Frame]]:
    return {film: list(frames(sample / f"films/{film}.mp4")) for film in "ab"}


def decode(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.mark.parametrize("film", ["a", "b"])
def test_truth_has_a_row_for_each_frame_with_its_exact_time(film: str, truth, shown):
    assert [row["frame"] for row in truth[film]] == [frame.number for frame in shown[film]] == list(range(FEW))
    assert [row["time"] for row in truth[film]] == [frame.time for frame in shown[film]]
    assert {frame.pixels.shape for frame in shown[film]} == {(SIZE, SIZE, 3)}


def test_film_a_has_one_rate_and_film_b_two(shown):
    steps = {film: np.diff([frame.pts * frame.time_base for frame in shown[film]]) for film in "ab"}
    assert set(steps["a"]) == set(steps["b"][: FEW // 2]) == {Fraction(1, 12)}
    assert set(steps["b"][FEW // 2 :]) == {Fraction(1, 15)}


@pytest.mark.parametrize("film", ["a", "b"])
def test_masks_are_those_of_the_frames(film: str, truth, shown):
    """Within a class of one flat color the frame hardly varies; the mask is background where the picture is."""
    for row, frame in zip(truth[film], shown[film], strict=True):
        mask = decode_mask(row["mask"]["bytes"], SEVEN)
        eye, hair = (mask == SEVEN.names.index(name) for name in ("eye", "hair"))
        assert (row["figures"] == 0) == (not mask.any())
        if row["figures"] == 1:
            assert frame.pixels[eye].mean() < 130  # dark pupils in white
            hair_pixels = frame.pixels[hair].astype(int)
            assert (np.abs(hair_pixels - np.median(hair_pixels, axis=0)).max(axis=1) < 30).mean() > 0.6


def test_truth_shows_the_other_actor_with_the_same_face_at_the_same_place(truth, shown):
    """Eyes and mouth are where the film has them; hair and skin have other colors; without figures nothing differs."""
    for film in "ab":
        for row, frame in zip(truth[film], shown[film], strict=True):
            difference = np.abs(decode(row["image"]["bytes"]) - frame.pixels).max(axis=2)
            if row["figures"] == 0:
                assert difference.mean() < 5  # by the encoder, whose colors are half as fine
                continue
            mask = decode_mask(row["mask"]["bytes"], SEVEN)
            eye, face = (difference[mask == SEVEN.names.index(name)] for name in ("eye", "face"))
            assert (eye < 40).mean() > 0.85
            assert (face > 40).mean() > 0.6
            assert difference[:128, :8].mean() < 10  # background beside the figures


def test_film_a_is_still_then_smiles_opens_the_mouth_winks_and_turns():
    moments = script("a", 240, 1)
    faces = [(m.expression["eyes"], m.expression["mouth"]) for m in moments]
    assert faces[:48] == [("happy", "sad")] * 48  # 4 seconds
    assert faces[48:72] == [("happy", "smile")] * 24
    assert faces[72:96] == [("happy", "agape")] * 24
    assert faces[96:108] == [("wink", "smile")] * 12
    assert faces[108:144] == [("happy", "smile")] * 36
    angles = [float(m.pose.split("rotate(")[1].split(")")[0]) for m in moments]
    assert np.ptp(angles[:108]) < 0.5 and max(angles[108:144]) > 10 and min(angles[108:144]) < -8
    assert {m.expression["eyebrows"] for m in moments[:144]} == {"neutral"}


@pytest.mark.parametrize("film", ["a", "b"])
def test_expressions_vary_and_faults_are_where_films_have_them(film: str):
    moments = script(film, 240, 1)  # type: ignore[arg-type]
    varied = moments[144:] if film == "a" else moments
    seen = {(m.expression["eyes"], m.expression["mouth"]) for m in varied}
    assert len(seen) == (12 if film == "a" else 15)
    counts = {shown: sum(m.shown == shown for m in moments) for shown in FIGURES}
    expected = {"nobody": 8, "black": 1} if film == "a" else {"nobody": 6, "actor and passer": 24}
    assert {shown: n for shown, n in counts.items() if n and shown != "actor"} == expected


@pytest.mark.parametrize("frames", range(20, 400, 17))
def test_every_number_of_frames_has_all_faults(frames: int):
    shown = {m.shown for film in ("a", "b") for m in script(film, frames, 1)}  # type: ignore[arg-type]
    assert shown == set(FIGURES)


def test_the_tone_follows_the_mouth(sample: Path):
    for film in ("a", "b"):
        moments = script(film, 240, 1)  # type: ignore[arg-type]
        samples = tone(moments)
        ends = [round(m.ticks * TIME_BASE * SOUND_RATE) for m in moments[1:]] + [len(samples)]
        for moment, end in zip(moments, ends, strict=True):
            middle = samples[end - 2400 : end - 800]  # after the edge
            level = MOUTHS[moment.expression["mouth"]] if FIGURES[moment.shown] else 0
            assert np.abs(middle).max() == pytest.approx(0.3 * level, abs=0.01)
    with av.open(str(sample / "films/a.mp4")) as film:
        assert film.streams.audio[0].codec_context.name == "aac"
        heard = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])
    seconds = FEW / 12
    assert about(sample / "films/a.mp4").duration == pytest.approx(seconds, abs=0.1)
    assert len(heard) / SOUND_RATE == pytest.approx(seconds, abs=0.1)
    expected = tone(script("a", FEW, 3))
    loud = [np.abs(sound[: len(expected) // 4800 * 4800]).reshape(-1, 4800).max(axis=1) for sound in (heard, expected)]
    assert np.corrcoef(*loud)[0, 1] > 0.95


def test_films_say_that_a_program_drew_them(sample: Path):
    for film in "ab":
        mark = read_mark(sample / f"films/{film}.mp4")
        assert mark and mark.source_type == "algorithmicMedia"


def test_the_same_settings_give_the_same_bytes(sample: Path, tmp_path: Path):
    again = draw(tmp_path)
    for name in ("films/a.mp4", "films/b.mp4", "films.parquet"):
        assert (again / name).read_bytes() == (sample / name).read_bytes(), name
