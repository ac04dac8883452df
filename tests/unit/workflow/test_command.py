import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from facemill import log

SCRIPT = '''
from pathlib import Path
from facemill.log import progress
from facemill.workflow.command import run
from facemill.config.fields import TrainingConfig
from facemill.errors import UserError

def count(*, settings: TrainingConfig, inputs: list[Path], out: Path | None = None, share: float = 0.5) -> None:
    """Counts inputs."""
    if not inputs[0].suffix:
        raise UserError("inputs: found no suffix; accepted: one")
    print(settings.batch, [p.name for p in progress(inputs, "counting", len(inputs))], out, share)

if __name__ == "__main__":
    run("count:count")
'''
SETTINGS = '{"images": 8, "batch": 4, "learning_rate": 0.1}'


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("scripts") / "count.py"
    path.write_text(SCRIPT)
    return path


def call(script: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True)


def test_arguments_are_typed_and_lists_take_several_values(script):
    done = call(script, "--inputs", "a.x", "b.x", "--settings", SETTINGS, "--share", "0.25")
    assert done.stdout.strip() == "4 ['a.x', 'b.x'] None 0.25"
    assert done.stderr.startswith("counting: 2 of 2 images")


def test_paths_may_begin_at_the_users_home(script, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    done = call(script, "--inputs", "~/a.x", "--settings", SETTINGS, "--out", "~/b")
    assert done.stdout.strip() == "4 ['a.x'] /home/me/b 0.5"


WRITES = """
from pathlib import Path
from facemill.files import atomic_folder, atomic_write
from facemill.workflow.command import run

def write(*, inputs: list[Path], out: Path, folder: Path) -> None:
    with atomic_write(out) as tmp:
        tmp.write_text("new")
    with atomic_folder(folder) as tmp:
        (tmp / "new").touch()

if __name__ == "__main__":
    run("write:write")
"""


@pytest.mark.parametrize(
    ("out", "folder", "replaced"),
    [
        ("new", "folder", None),
        ("in", "folder", "in"),
        ("./link/in", "folder", "in"),
        ("new", "data", "data"),
        ("new", ".", "in"),
    ],
)
def test_no_output_replaces_an_input(tmp_path, monkeypatch, out, folder, replaced):
    (tmp_path / "write.py").write_text(WRITES)
    (tmp_path / "in").write_text("old")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/b").touch()
    (tmp_path / "link").symlink_to(".")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # the second time over what the first has written
        done = call(tmp_path / "write.py", "--inputs", "in", "data", "--out", out, "--folder", folder)
        assert done.returncode == (replaced is not None), done.stderr
    assert replaced is None or f"would replace {tmp_path}/{replaced}, which another option names" in done.stderr
    assert (tmp_path / "in").read_text() == "old" and (tmp_path / "data/b").exists()


def test_a_mistake_is_one_line_and_fails(script):
    done = call(script, "--inputs", "a", "--settings", SETTINGS)
    assert (done.returncode, done.stderr) == (1, "count.py: inputs: found no suffix; accepted: one\n")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (SETTINGS.replace("4", "0"), "batch: Input should be greater than or equal to 1"),
        (SETTINGS.replace("batch", "bach"), "bach: Extra inputs are not permitted"),
        ("{", "Invalid JSON"),
    ],
)
def test_wrong_settings_fail_and_are_named(script, settings, said):
    done = call(script, "--inputs", "a.x", "--settings", settings)
    text = " ".join(done.stdout.replace("│", " ").split() + done.stderr.replace("│", " ").split())
    assert done.returncode != 0 and said in text and "Traceback" not in text


def test_an_unknown_argument_fails(script):
    assert call(script, "--inputs", "a.x", "--settings", SETTINGS, "--shard", "1").returncode != 0


def test_progress_is_lines_every_ten_seconds_and_at_the_end(monkeypatch, caplog):
    clock = iter(range(0, 1000, 4))  # each item takes four seconds
    monkeypatch.setattr(log.time, "monotonic", lambda: next(clock))
    caplog.set_level("INFO", "facemill")
    assert list(log.progress("abcdef", "work", total=30, done=6, step=4)) == list("abcdef")
    assert caplog.messages == [
        "work: 18 of 30 images, 1/s, 12 s left",
        "work: 30 of 30 images, 1/s, 0 s left",
    ]


def test_a_bar_ends_at_the_total_when_the_last_item_stands_for_less(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(log.sys, "stderr", terminal)
    assert list(log.progress("abc", "work", total=10, step=4)) == list("abc")
    assert "10.0/10.0 [" in terminal.getvalue().splitlines()[-1].split("\r")[-1]


FAULT = """
import os
from pathlib import Path
from facemill.workflow.command import run
from facemill.errors import Damaged
from facemill.files import atomic_write

def fail(*, fault: str) -> None:
    if fault == "full":
        with atomic_write(Path("out.bin")) as tmp:
            Path("/dev/full").write_text("x")
    if fault == "rust":
        from safetensors import SafetensorError
        with atomic_write(Path("out.bin")):
            raise SafetensorError("Error: I/O error: No space left on device (os error 28)")
    if fault == "polars":
        import polars as pl
        with atomic_write(Path("out.bin")):
            pl.DataFrame({"a": range(1000)}).write_parquet("/dev/full")
    if fault == "damaged":
        raise Damaged(Path("results/a.bin"), "a checksum")
    if fault == "foreign":
        raise Damaged(Path("images/a.bin"), "a checksum")
    if fault == "gpu":
        import torch
        raise torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has a total capacity of 4.00 GiB of which 12.00 MiB "
            "is free. Of the allocated memory 3.41 GiB is allocated by PyTorch."
        )
    raise OSError("a fault of the code")

if __name__ == "__main__":
    run("fail:fail")
"""


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("full", "/dev/full: No space left on device|out.bin: No space left on device"),
        ("rust", "out.bin: No space left on device"),
        ("polars", "out.bin: No space left on device"),
        ("damaged", r"results/a.bin: damaged \(a checksum\); it is quarantined as a.bin.damaged, .* makes it again"),
        ("gpu", r"CUDA out of memory. .* 12.00 MiB is free; accepted: a smaller training.batch \(for GauGAN .*memory"),
        ("foreign", r"images/a.bin: damaged \(a checksum\); bring back a sound copy of it"),
    ],
)
def test_a_fault_of_the_machine_is_one_line(tmp_path, fault, said):
    (tmp_path / "results").mkdir()
    (tmp_path / "results/a.bin").touch()
    (tmp_path / "fail.py").write_text(FAULT)
    command = [sys.executable, "fail.py", "--fault", fault]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and re.fullmatch(f"fail.py: ({said})\n", done.stderr), done.stderr
    assert (tmp_path / "results/a.bin.damaged").exists() == (fault == "damaged")


def test_a_fault_of_the_code_keeps_its_traceback(tmp_path):
    (tmp_path / "fail.py").write_text(FAULT)
    done = subprocess.run([sys.executable, tmp_path / "fail.py", "--fault", "none"], capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" in done.stderr
