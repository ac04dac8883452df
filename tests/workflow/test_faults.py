"""What goes wrong on real machines: each time a clear line, and the next run ends as an undisturbed one.

Kills of Snakemake are in `test_workflow.py`, those of a worker process in `tests/unit/test_loading.py`.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.running import command, is_training, jobs_in, planned, results_of, snakemake, wait_for

V1 = "results/tiny/unet/v1/model.safetensors"
V3 = "results/tiny/unet/v3/model.safetensors"
SELECTED = "results/tiny/selected/selected.parquet"
SHARD = "results/tiny/portraits/shard-0000.parquet"
MASKS = "results/tiny/pseudo_labels/shard-0000.parquet"
LATENTS = "results/tiny/latents/shard-0000.parquet"
TAGS = "results/tiny/tags/shard-0000.parquet"


def ends_as_undisturbed(finished: Path, project: Path, *targets: str) -> None:
    """Runs Snakemake once more: the targets are made, and all that is there is as in the finished run."""
    code, said = snakemake(project, "--", *targets)
    assert code == 0, said
    found, expected = results_of(project), results_of(finished)
    found = {path: digest for path, digest in found.items() if not path.endswith(".damaged")}
    assert all((project / target).exists() for target in targets)
    assert [path for path, digest in found.items() if digest != expected.get(path)] == []


def forget(project: Path, *products: str) -> None:
    for product in products:
        shutil.rmtree(project / product)


@contextmanager
def training(project: Path) -> Iterator[subprocess.Popen]:
    """Snakemake while the U-Net v3 trains in the project; what it says goes to `said`."""
    forget(project, "results/tiny/unet/v3", "work")
    with (project / "said").open("w") as said:
        run = subprocess.Popen(command("--", V3), cwd=project, stdout=said, stderr=said)
        try:
            wait_for(lambda: any(is_training(job) for job in jobs_in(project)))
            yield run
        finally:
            run.wait(120)


def test_a_killed_job_fails_the_run_and_the_next_makes_the_same_model(finished, project):
    with training(project) as run:
        job = next(job for job in jobs_in(project) if is_training(job))
        os.kill(int(job.name), signal.SIGKILL)
    said = (project / "said").read_text()
    assert run.returncode == 1 and "Error in rule train_unet" in said and not (project / V3).exists()
    ends_as_undisturbed(finished, project, V3)


def test_a_terminated_snakemake_ends_its_jobs_and_the_next_goes_on(finished, project):
    with training(project) as run:
        run.terminate()
    wait_for(lambda: not jobs_in(project), 60)
    assert run.returncode != 0
    ends_as_undisturbed(finished, project, V3)


def test_of_two_runs_at_once_the_second_is_refused(finished, project):
    with training(project) as run:
        code, said = snakemake(project, "--", V3)
        assert code == 1 and "Directory cannot be locked" in said and "Traceback" not in said
    assert run.returncode == 0
    ends_as_undisturbed(finished, project, V3)


def test_a_stale_lock_stops_nobody(finished, project):
    forget(project, "results/tiny/selected")
    (project / ".snakemake/locks").mkdir(exist_ok=True)
    for kind in ("input", "output"):
        (project / f".snakemake/locks/0.{kind}.lock").write_text(SELECTED + "\n")
    ends_as_undisturbed(finished, project, SELECTED)
    assert (project / SELECTED).is_file()


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A small file system in memory at a folder, mounted with options; what the folder held is hidden meanwhile."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root's rights")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder], stderr=subprocess.PIPE)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(("product", "target"), [("portraits", SHARD), ("selected", SELECTED), ("unet/v1", V1)])
def test_a_full_disk_is_named(finished, project, product, target):
    folder = project / "results/tiny" / product
    forget(project, f"results/tiny/{product}")
    folder.mkdir()
    with mounted(folder, "size=16k"):
        (folder / "others").touch()  # Snakemake removes empty folders, which a mounted one cannot be
        code, said = snakemake(project, "--", target)
    assert code == 1 and "No space left on device" in said and "Traceback" not in said, said
    ends_as_undisturbed(finished, project, target)


def test_a_folder_that_may_not_be_written_is_named(finished, project):
    folder = project / "results/tiny/unet/v1"
    forget(project, "results/tiny/unet/v1")
    folder.mkdir()
    with mounted(folder, "ro"):
        code, said = snakemake(project, "--", V1)
        assert code == 1 and "results/tiny/unet/v1: may not be written" in said and "Traceback" not in said, said
        assert planned(project, "--", V1)["train_unet"] == 1
    ends_as_undisturbed(finished, project, V1)


def test_results_that_may_not_be_written_are_named_before_the_first_of_a_dataset(project):
    with mounted(project / "results", "ro"):
        code, said = snakemake(project, "--", V1)
    assert code == 1 and "results: may not be written" in said and "Traceback" not in said, said


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "product", "target"),
    [
        (cut, SHARD, LATENTS),
        (flip, SHARD, LATENTS),
        (flip, MASKS, TAGS),
        (flip, V1, "results/tiny/unet/comparison.json"),
    ],
)
def test_a_damaged_product_is_put_aside_and_made_again(
    finished, project, harm: Callable[[Path], None], product: str, target: str
):
    harm(project / product)
    code, said = snakemake(project, "--", target)
    assert code == 1 and f"{product}: damaged" in said and "Traceback" not in said, said
    assert "the next run makes it again" in said and (project / f"{product}.damaged").exists()
    ends_as_undisturbed(finished, project, target)
