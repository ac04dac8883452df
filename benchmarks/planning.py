"""Planning time of Snakemake by the number of shards, and the overhead of a job.

    python benchmarks/planning.py [SHARDS ...]      1000 10000 by default: about two minutes

Plans are dry runs of config/danbooru.yaml with that number of shards. Overhead is measured on crops of a small sample:
the jobs by Snakemake, against their commands one after another. The last line is JSON: the seconds of 1,000 shards.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
JOBS = 8


def measured(command: list[str], folder: Path) -> tuple[str, float, float]:
    """The output of a command, its seconds and its peak memory in MB."""
    with tempfile.TemporaryFile("w+") as output:
        start = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        output.seek(0)
        text = output.read()
    if status:
        sys.exit(text)
    return text, seconds, usage.ru_maxrss / 1024


def plan(folder: Path, shards: int) -> dict[str, float]:
    """Jobs, seconds and memory of a dry run with a number of shards."""
    for name in ("images", "labelled"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "posts.jsonl").touch()
    source = {"images": "images", "labelled": "labelled", "metadata": ["posts.jsonl"]}
    (folder / "overlay.yaml").write_text(yaml.safe_dump({"source": source, "portraits": {"shards": shards}}))
    configs = [str(ROOT / "config/danbooru.yaml"), str(folder / "overlay.yaml")]
    text, seconds, memory = measured([*SNAKEMAKE, "--dry-run", "--quiet", "rules", "--configfile", *configs], folder)
    jobs = int(re.search(r"^total +(\d+)$", text, re.M)[1])
    return {"shards": shards, "jobs": jobs, "seconds": seconds, "megabytes": memory}


def overhead(folder: Path) -> dict[str, float]:
    """Seconds that a job takes in Snakemake and as a bare command."""
    settings = {"sample": {"portraits": 4 * JOBS, "labelled": 4}, "portraits": {"size": 128, "shards": JOBS}}
    (folder / "small.yaml").write_text(yaml.safe_dump({"dataset": "small"} | settings))
    run = [*SNAKEMAKE, "--configfile", str(folder / "small.yaml")]
    measured([*run, "--", "results/small/selected/selected.parquet"], folder)
    _, idle_seconds, _ = measured([*run, "--", "results/small/selected/selected.parquet"], folder)
    planned, _, _ = measured([*run, "--dry-run", "--printshellcmds", "--", "portraits"], folder)
    _, total_seconds, _ = measured([*run, "--", "portraits"], folder)
    commands = re.findall(r"(FACEMILL_CODE=\w+ python \S+/crop_portraits\.py .*)$", planned, re.M)
    if len(commands) != JOBS:
        sys.exit(f"{len(commands)} commands in place of {JOBS}:\n{planned}")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    start = time.monotonic()
    for command in commands:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": path}
        subprocess.run(["sh", "-c", command], cwd=folder, check=True, stdout=subprocess.DEVNULL, env=environment)
    bare = (time.monotonic() - start) / JOBS
    return {"job_seconds": (total_seconds - idle_seconds) / JOBS, "bare_seconds": bare}


def main() -> None:
    """Prints a table of plans by the number of shards, and the overhead of a job."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plans = [plan(folder, shards) for shards in map(int, sys.argv[1:] or ["1000", "10000"])]
        jobs = overhead(folder)
    print(f"{'shards':>8} {'jobs':>8} {'seconds':>8} {'MB':>6} {'ms a job':>9}")
    for row in plans:
        each = 1000 * row["seconds"] / row["jobs"]
        print(f"{row['shards']:>8} {row['jobs']:>8} {row['seconds']:>8.1f} {row['megabytes']:>6.0f} {each:>9.2f}")
    job, bare = jobs["job_seconds"], jobs["bare_seconds"]
    print(f"a job: {job:.2f} s in Snakemake, {bare:.2f} s as a bare command, {job / bare:.2f} times")
    seconds = {row["shards"]: round(row["seconds"], 2) for row in plans}
    print(json.dumps({"seconds_1000": seconds.get(1000)}))


if __name__ == "__main__":
    main()
