"""Everything that runs on a GPU, proved and measured by one command in nine minutes.

    python benchmarks/gpu.py --data FOLDER --out FOLDER     on a GPU; FOLDER is made by benchmarks/gpu_data.py
    python benchmarks/gpu.py --dry --out FOLDER             everything at tiny sizes, on any machine, in two minutes

The groups are: correctness (CUDA against the processor, in float32 and bfloat16), resume (each training killed and
resumed), speed, and chain (labels to GauGAN, as far as the minutes go). Correctness and resume share the GPU, since
nothing in them is timed. `gpu.json` in `--out` holds each check's figures and state: passed, missed (a bar), failed (an
exception), crashed (its process ended) or late; pictures lie beside it. The exit status is 0 when all passed.

Nothing is installed or downloaded. Packages that are missing can come from wheels in a folder: docs/gpu.md.
"""

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from facemill.errors import UserError
from facemill.files import write_json
from facemill.workflow.command import run

HERE = Path(__file__).parent
ROUNDS = {("correctness", "resume"): 0.25, ("speed",): 0.35, ("chain",): 0.4}
"""Groups that run side by side, and their share of the time; a round that ends early leaves its rest to the next."""
CLOSING_SECONDS = 5
"""What the last round leaves for stopping its processes and writing results."""


def main(
    *, out: Path, data: Path | None = None, dry: bool = False, minutes: float = 9, only: list[str] | None = None
) -> None:
    """Runs all checks and writes `gpu.json` and pictures.

    Args:
        out: folder of the results.
        data: folder that `gpu_data.py` wrote; with `--dry` drawings take its place.
        dry: run at tiny sizes, on any machine.
        minutes: time for all of it.
        only: groups to run (correctness, resume, speed, chain).
    """
    started = time.time()
    if not dry and not torch.cuda.is_available():
        raise UserError("no GPU: torch.cuda.is_available() is false; accepted: a machine with one, or --dry")
    if data is None and not dry:
        raise UserError("--data: is missing; accepted: a folder that benchmarks/gpu_data.py wrote, or --dry")
    groups = [group for round_ in ROUNDS for group in round_]
    if unknown := set(only or ()) - set(groups):
        raise UserError(f"--only: found {min(unknown)}; accepted: {', '.join(groups)}")
    out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"machine": machine(), "dry": dry, "checks": []}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if data is None:
            from gpu_data import draw_data  # needs the packages that draw

            draw_data(work / "data")
        shared = {"data": str((data or work / "data").resolve()), "out": str(out.resolve()), "dry": dry}
        end = started + 60 * minutes - CLOSING_SECONDS
        rounds = [([g for g in round_ if not only or g in only], share) for round_, share in ROUNDS.items()]
        for index, (chosen, share) in enumerate(rounds := [round_ for round_ in rounds if round_[0]]):
            deadline = time.time() + (end - time.time()) * share / sum(share for _, share in rounds[index:])
            children = [Child(group, shared, work / group, deadline) for group in chosen]
            while running := [child for child in children if child.running()]:
                time.sleep(0.2)
                for child in running:
                    child.tend()
            results["checks"] += [result for child in children for result in child.results()]
            results["seconds"] = round(time.time() - started, 1)
            write_json(out / "gpu.json", results)
    print_table(results)
    if any(result["state"] != "passed" for result in results["checks"]):
        sys.exit(1)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    gpu = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
    return {
        "gpu": gpu.name if gpu else None,
        "gpu_memory_gb": round(gpu.total_memory / 1e9, 1) if gpu else None,
        "processors": len(os.sched_getaffinity(0)),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if gpu else None,
        "python": platform.python_version(),
    }


class Child:
    """The process of a group; a check in which it ends, or is late, is noted, and the rest starts anew."""

    def __init__(self, group: str, shared: dict[str, Any], work: Path, deadline: float) -> None:
        work.mkdir()
        self.group, self.work, self.deadline = group, work, deadline
        self.context = json.dumps(shared | {"work": str(work), "deadline": deadline})
        self.lines = work / "results.jsonl"
        self.log = work / "log"
        self.process = self._start()

    def _start(self) -> subprocess.Popen:
        paths = [str(HERE), str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        command = [sys.executable, "-m", "gpu_checks", self.group, self.context, str(self.lines)]
        command += [line["check"] for line in self._read()]
        with self.log.open("a") as log:
            return subprocess.Popen(
                command,
                cwd=self.work,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _read(self) -> list[dict[str, Any]]:
        lines = self.lines.read_text().splitlines() if self.lines.exists() else []
        return list({line["check"]: line for line in map(json.loads, lines)}.values())

    def running(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def tend(self) -> None:
        """Stops the process when it is late; starts it anew for the rest when a check has ended it."""
        if time.time() > self.deadline:
            self._note("late")
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        elif not self.running() and self.process.returncode:
            if self._note("crashed"):
                self.process = self._start()

    def _note(self, state: str) -> bool:
        """Notes the state of the check that has started and not ended; returns whether there is one."""
        open_checks = [line["check"] for line in self._read() if line["state"] == "started"]
        with self.lines.open("a") as file:
            for name in open_checks:
                tail = self.log.read_text(errors="replace")[-2000:]
                file.write(json.dumps({"group": self.group, "check": name, "state": state, "error": tail}) + "\n")
        return bool(open_checks)

    def results(self) -> list[dict[str, Any]]:
        """The results of the group's checks; a group that did not start has one that says so."""
        results = self._read()
        if self.process.returncode and not any(r["state"] in ("late", "crashed") for r in results):
            tail = self.log.read_text(errors="replace")[-2000:]
            results.append({"group": self.group, "check": "start", "state": "crashed", "error": tail})
        return results


def print_table(results: dict[str, Any]) -> None:
    """Prints a line for each check, and the figures of each below it."""
    for result in results["checks"]:
        print(f"{result['state']:8} {result['group']:12} {result['check']:28} {result.get('seconds', 0):7.1f} s")
        for sentence in result.get("missed", ()):
            print(f"{'':10}{sentence}")
        if error := result.get("error"):
            print(f"{'':10}{error.strip().splitlines()[-1]}")
    print(json.dumps({"seconds": results["seconds"], **results["machine"]}))


if __name__ == "__main__":
    run("gpu:main")
