"""The workflow on a real Slurm cluster of one node, whose two GPUs are devices that Slurm counts and hands out."""

import re
import shutil
import subprocess
import threading
from pathlib import Path

import yaml
from helpers.running import is_training, jobs_in, new_project, results_of, snakemake, wait_for

from facemill.data.shards import read_rows
from facemill.files import sha256

V1, V3 = (f"results/tiny/unet/{version}/model.safetensors" for version in ("v1", "v3"))
GAUGAN, VAE = (f"results/tiny/{name}/model.safetensors" for name in ("gaugan", "vae"))


def run(command: list[str], project: Path) -> str:
    """What a run that ends well says."""
    done = subprocess.run(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    logs = "\n".join(path.read_text() for path in sorted(project.glob("logs/slurm/**/*.log")))
    assert done.returncode == 0, f"{done.stdout}\n{logs}"
    return done.stdout


def queue(*arguments: str) -> list[str]:
    """A line for each job that Slurm has not finished with, in `squeue`'s words."""
    return subprocess.run(["squeue", "--noheader", *arguments], stdout=subprocess.PIPE, text=True).stdout.splitlines()


class Watch(threading.Thread):
    """Notes, five times a second, which GPUs the running jobs have."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: list[list[int]] = []
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.wait(0.2):
            shown = subprocess.run(["scontrol", "show", "job", "-d", "-o"], stdout=subprocess.PIPE, text=True).stdout
            jobs = [line for line in shown.splitlines() if "JobState=RUNNING" in line]
            self.seen.append([int(index) for line in jobs for index in re.findall(r"GRES=gpu\S*\(IDX:(\d)\)", line)])


def test_the_chain_to_gaugan(finished, tmp_path, on_slurm):
    project = new_project(tmp_path / "facemill")
    watch = Watch()
    said = run(on_slurm("--", GAUGAN, VAE, V1), project)
    watch.over.set()
    made = results_of(project)
    assert {GAUGAN, VAE, V1, V3} <= made.keys() and made.items() <= results_of(finished).items()

    # two GPUs: never more than two jobs on them, never two on the same one, and both in use at times
    assert all(len(set(gpus)) == len(gpus) <= 2 for gpus in watch.seen)
    assert any(len(gpus) == 2 for gpus in watch.seen)
    on_gpu = {p.stem: re.findall(r"runs on GPU (\S+)", p.read_text()) for p in (project / "logs/tiny").glob("*.log")}
    assert {name for name, gpus in on_gpu.items() if gpus} >= {"train_unet-v1", "train_vae", "train_gaugan"}
    assert all(gpus in ([], ["0"], ["1"]) for gpus in on_gpu.values())

    # each product's shards as one array; nothing is left of jobs that went well
    arrays = re.findall(r"Submitted array job with Snakemake IDs [\d,]+ and SLURM job ID \d+", said)
    assert len(arrays) >= 1
    assert queue() == []
    assert "Nothing to be done" in run(on_slurm("--dry-run", "--", GAUGAN, VAE, V1), project)


def test_a_training_that_is_requeued_goes_on_and_gives_the_same_model(project, on_slurm):
    expected = sha256(project / V3)
    shutil.rmtree(project / "results/tiny/unet/v3")
    shutil.rmtree(project / "work")
    main = subprocess.Popen(
        on_slurm("--", V3), cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_for(lambda: any(is_training(job) for job in jobs_in(project)))
    [job] = queue("--format=%i")
    subprocess.run(["scontrol", "requeue", job], check=True)
    wait_for(lambda: not any(is_training(job) for job in jobs_in(project)))
    assert list(project.glob("work/unet-v3-*/checkpoint.safetensors"))

    def begin() -> bool:  # Slurm holds a requeued job back for two minutes
        subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], stderr=subprocess.DEVNULL)
        return main.poll() is not None

    wait_for(begin)
    said = main.stdout.read()
    assert main.returncode == 0, said
    assert "resumes after step" in (project / "logs/tiny/train_unet-v3.log").read_text()
    assert sha256(project / V3) == expected


def test_a_job_over_its_memory_is_tried_again_with_more(project, on_slurm):
    shutil.rmtree(project / "results/tiny/selected")
    target = "results/tiny/selected/selected.parquet"
    # 100 MB are less than Snakemake itself takes in a job, for seconds: Slurm looks once a second
    said = run(on_slurm("--set-resources", "filter_posts:mem_mb=100 * attempt", "--", target), project)
    jobs = subprocess.run(["scontrol", "show", "job", "--oneliner"], stdout=subprocess.PIPE, text=True).stdout
    mine = [job for job in jobs.splitlines() if f"WorkDir={project} " in job]
    asked = sorted(int(re.search(r"MinMemoryNode=(\d+)M", job)[1]) for job in mine)
    assert asked == [100 * attempt for attempt in range(1, len(asked) + 1)] and len(asked) > 1, said
    assert "Trying to restart job" in said
    assert (project / target).exists()


def test_nothing_runs_on_when_the_main_job_is_cancelled(project, on_slurm):
    expected = sha256(project / V3)
    shutil.rmtree(project / "results/tiny/unet/v3")
    shutil.rmtree(project / "work")
    main = subprocess.run(
        ["sbatch", "--parsable", "--output=main.log", "--mem=1000", f"--wrap=exec {' '.join(on_slurm('--', V3))}"],
        cwd=project,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    wait_for(lambda: any(is_training(job) for job in jobs_in(project)))
    subprocess.run(["scancel", main.stdout.strip()], check=True)
    wait_for(lambda: not queue() and not jobs_in(project), 60)
    assert not (project / V3).exists()
    run(on_slurm("--", V3), project)
    assert sha256(project / V3) == expected


def with_shards(project: Path, shards: int) -> None:
    """Gives the project so many shards, none of them made; the posts for them are selected here."""
    settings = yaml.safe_load((project / "config/config.yaml").read_text())
    settings["portraits"]["shards"] = shards
    (project / "config/config.yaml").write_text(yaml.safe_dump(settings))
    shutil.rmtree(project / "results/tiny/portraits")
    assert snakemake(project, "--", "results/tiny/selected/selected.parquet")[0] == 0


def test_two_hundred_shards_are_seven_arrays(project, on_slurm):
    with_shards(project, 200)
    subprocess.run(["scontrol", "update", "PartitionName=cpu", "State=DOWN"], check=True)  # all wait, none runs
    main = subprocess.Popen(on_slurm("--", "portraits"), cwd=project, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: len(queue("--array")) == 200)
        arrays = [job.split("_")[0] for job in queue("--array", "--format=%i")]
        assert sorted(arrays.count(array) for array in set(arrays)) == [20] + [30] * 6
    finally:
        main.terminate()
        main.wait()
        subprocess.run(["scontrol", "update", "PartitionName=cpu", "State=UP"], check=True)
    wait_for(lambda: not queue(), 60)


def test_each_task_of_an_array_makes_its_own_shard(project, on_slurm):
    with_shards(project, 5)
    said = run(on_slurm("--slurm-array-limit=3", "--", "portraits"), project)
    tasks = re.findall(r"Submitted array job with Snakemake IDs ([\d,]+)", said)
    assert [len(ids.split(",")) for ids in tasks] == [3, 2]
    shards = sorted(project.glob("results/tiny/portraits/shard-*.parquet"))
    ids = [[row["id"] for row in read_rows([path], ["id"])] for path in shards]
    assert len(shards) == 5 and all(int(row) % 5 == n for n, rows in enumerate(ids) for row in rows)
    assert queue() == [] and "Error" not in said
