"""The stage `swap` on a finished run of the tiny config: films, figures, pictures, and what is left after kills.

So small a U-Net finds no face, so the tables of faces are made from the films' exact masks; tests/unit/swap has the
extraction.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.running import command, jobs_in, made_once, planned, snakemake, wait_for
from PIL import Image

from facemill.avatars.regions import seven_ids
from facemill.data.classes import SEVEN
from facemill.data.film import frames, read_tags
from facemill.data.shards import decode_mask, mask_classes, read_rows, write_shard
from facemill.files import sha256
from facemill.networks.store import model_settings
from facemill.swap.alignment import crop, similarity
from facemill.swap.faces import FACES_SCHEMA, FRAMES_SCHEMA, Face, row_of
from facemill.swap.faces_picture import draw_faces
from facemill.swap.film_truth import sound_packets
from facemill.swap.rejects import frame_rows, hold_out

SIZE, FRAMES = 32, 20
CONFIG = [
    "--config",
    f"swap={{size: {SIZE}, preset: tiny, training: {{images: 160, batch: 4, learning_rate: 2.0e-3}}}}",
]
STAGE = "results/tiny/swap"
MODEL, A2B = f"{STAGE}/model.safetensors", f"{STAGE}/a2b/a2b.mp4"
[EYE], [MOUTH] = map(SEVEN.role_ids, ("eye", "mouth"))


def true_face(frame, mask: np.ndarray, side: str) -> Face | None:
    """The face of a frame with its exact mask; None where there is none."""
    _, _, stats, middles = cv2.connectedComponentsWithStats((mask == EYE).astype(np.uint8))
    eyes = middles[1:][np.argsort(stats[1:, cv2.CC_STAT_AREA])[-2:]]
    mouth = np.argwhere(mask == MOUTH)
    if len(eyes) < 2 or not len(mouth):
        return None
    points = np.array([*sorted(eyes.tolist()), mouth.mean(0)[::-1]])
    matrix = similarity(points)
    return Face(
        id=f"{side}-{frame.number:06}-0",
        frame=frame.number,
        face=0,
        track=0,
        pts=frame.pts,
        time=frame.time,
        box=np.array([*points.min(0), *points.max(0)], np.float32),
        points=points.astype(np.float32),
        matrix=matrix,
        confidence=1.0,
        sharpness=1.0,
        distance=0.0,
        roll=0.0,
        image=crop(frame.pixels, matrix, 2 * SIZE),
        mask=crop(mask, matrix, 2 * SIZE, nearest=True),
    )


def write_exact_tables(project: Path) -> None:
    """What `extract_faces` would write."""
    truth = project / "results/tiny/films.parquet"
    classes = mask_classes([truth])
    masks = {
        (row["film"], row["frame"]): seven_ids(decode_mask(row["mask"]["bytes"], classes), classes)
        for row in read_rows([truth], ["film", "frame", "mask"])
    }
    for side in ("a", "b"):
        shown = list(frames(project / f"results/tiny/films/{side}.mp4"))
        found = [true_face(frame, masks[side, frame.number], side) for frame in shown]
        rows = hold_out([row_of(face) for face in found if face], 0.25)
        table = frame_rows([(frame.number, frame.pts, frame.time) for frame in shown], rows)
        folder = project / STAGE / side
        folder.mkdir(parents=True)
        write_shard(folder / "faces.parquet", rows, FACES_SCHEMA, SEVEN)
        write_shard(folder / "frames.parquet", table, FRAMES_SCHEMA)
        draw_faces(rows, folder / "faces.png")


@pytest.fixture(scope="session")
def exchanged(finished, tmp_path_factory) -> Path:
    """A copy of the finished run in which the faces are exchanged."""

    def make(folder: Path) -> None:
        project = shutil.copytree(finished, folder / "facemill")
        code, said = snakemake(project, *CONFIG, "--", "results/tiny/films.parquet")
        assert code == 0, said
        write_exact_tables(project)
        code, said = snakemake(project, *CONFIG, "--", "swap")
        assert code == 0, said

    return made_once(tmp_path_factory, "exchanged", make) / "facemill"


@pytest.fixture
def changeable(exchanged, tmp_path) -> Path:
    """A copy of it."""
    return shutil.copytree(exchanged, tmp_path / "facemill")


def test_swap_ends_with_both_films_and_their_figures(exchanged):
    stage = exchanged / STAGE
    metrics = json.loads((stage / "metrics.json").read_text())
    assert metrics.keys() == {"a2b", "b2a", "a", "b"}
    for way in ("a2b", "b2a"):
        of_way = metrics[way]
        assert of_way.keys() >= {"truth", "identity", "seam", "color", "expression", "flicker"}
        assert of_way["faces"] >= 2
        table = list(read_rows([stage / f"{way}.parquet"], ["frame", "faces"]))
        assert [row["frame"] for row in table] == list(range(FRAMES)) and any(row["faces"] for row in table)
        assert of_way["written"] == {"count": FRAMES, "frames": True, "times": True, "sound": True}
        source, film = exchanged / f"results/tiny/films/{way[0]}.mp4", stage / f"{way}/{way}.mp4"
        assert sound_packets(source) == sound_packets(film) != []
        assert "compositeWithTrainedAlgorithmicMedia" in read_tags(film)["digital_source_type"]
        changed = [
            (before.pixels != after.pixels).mean() for before, after in zip(frames(source), frames(film), strict=True)
        ]
        assert max(changed) > 0.1
    for side in ("a", "b"):
        assert metrics[side]["faces"]["found"] > 0.9 and metrics[side]["faces"]["false"] == 0
        assert metrics[side]["reconstruction"]["mean"] > 0
    assert model_settings(stage / "model.safetensors")["seed"] == 1
    assert planned(exchanged, *CONFIG, "--", "swap") == {}


def test_the_config_makes_the_swap_a_part_of_report_and_summary(changeable):
    config = [*CONFIG, "also=[swap]"]
    jobs = planned(changeable, *config)
    assert {"summarize", "report"} <= jobs.keys() and not {"extract_faces", "train_swap", "train_unet"} & jobs.keys()
    code, said = snakemake(changeable, *config)
    assert code == 0, said
    results = changeable / "results/tiny"
    metrics = json.loads((changeable / STAGE / "metrics.json").read_text())
    assert json.loads((results / "summary.json").read_text())["swap"] == metrics
    page = (results / "report.html").read_text()
    stages = json.loads(re.search(r"categories = (\{.*?\});\n", page)[1])
    [pictures] = [parts for stage, parts in stages.items() if "Swap" in stage]
    assert f"{STAGE}/swap.png" in [path for paths in pictures.values() for path in paths]


@pytest.mark.parametrize(("script", "target"), [("train_swap", MODEL), ("convert_faces", A2B)])
def test_what_was_killed_ends_with_the_same_bytes(changeable, script, target):
    expected = sha256(changeable / target)
    forgotten = (changeable / target).parent if script == "convert_faces" else changeable / target
    shutil.rmtree(forgotten) if forgotten.is_dir() else forgotten.unlink()
    shutil.rmtree(changeable / "work")
    made = forgotten.relative_to(changeable)
    run = subprocess.Popen(command(*CONFIG, "--", str(made)), cwd=changeable, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: any((changeable / "work").glob("*swap*")) or any((changeable / "work").glob("convert*")))
        jobs = [job for job in jobs_in(changeable) if script.encode() in (job / "cmdline").read_bytes()]
        for job in jobs:
            os.kill(int(job.name), signal.SIGKILL)
    finally:
        run.wait(300)
    assert jobs and run.returncode == 1 and not (changeable / target).exists()
    code, said = snakemake(changeable, *CONFIG, "--", str(made))
    assert code == 0, said
    assert sha256(changeable / target) == expected
    if script == "convert_faces":
        assert {path.name for path in forgotten.iterdir()} >= {"a2b.mp4", "a2b.mp4.json"}
        assert not list(forgotten.glob(".*part*"))


def test_films_that_are_not_there_are_one_line(exchanged):
    config = ["--config", f"swap={{a: {exchanged}/no.mp4, b: {exchanged}/results/tiny/films/b.mp4}}"]
    code, said = snakemake(exchanged, "-n", *config, "--", "swap")
    assert code and "no.mp4" in said and "Traceback" not in said


def test_one_photo_of_a_person_is_refused_before_faces_are_looked_for(exchanged, tmp_path):
    photo = tmp_path / "me.jpg"
    Image.new("RGB", (64, 64)).save(photo)
    config = ["--config", f"swap={{a: {photo}, b: {exchanged}/results/tiny/films/b.mp4}}"]
    code, said = snakemake(exchanged, "-n", *config, "--", "swap")
    assert (
        code and f"\nconfig: swap.a: {photo} is one photo; accepted: a film, or a folder of frames or photos\n" in said
    )
    assert "Traceback" not in said
