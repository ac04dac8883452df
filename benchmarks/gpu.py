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
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from facemill.errors import UserError
from facemill.files import write_json
from facemill.workflow.command import run

HERE = Path(__file__).parent
ROUNDS = {("correctness", "resume"): 0.28, ("speed",): 0.32, ("chain",): 0.4}
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
    check_arguments(data, dry, only or ())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not before the processes of the groups are stopped
    out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"machine": machine(), "dry": dry, "checks": []}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # killed processes may still write
        work = Path(folder)
        shared = {"data": str((data or drawn_data(work)).resolve()), "out": str(out.resolve()), "dry": dry}
        end = started + 60 * minutes - CLOSING_SECONDS
        rounds = [([g for g in round_ if not only or g in only], share) for round_, share in ROUNDS.items()]
        rounds = [(groups, share) for groups, share in rounds if groups]
        for index, (groups, share) in enumerate(rounds):
            deadline = time.time() + (end - time.time()) * share / sum(share for _, share in rounds[index:])
            children = [Child(group, shared, work / group, deadline) for group in groups]
            running, before = children, results["checks"]
            try:
                while running := [child for child in running if child.goes_on()]:
                    time.sleep(0.5)
                    results["checks"] = [*before, *(line for child in children for line in child.lines_so_far())]
                    write_json(out / "gpu.json", results)
            finally:
                for child in running:
                    child.stop()
            results["checks"] = [*before, *(result for child in children for result in child.results())]
            results["seconds"] = round(time.time() - started, 1)
            write_json(out / "gpu.json", results)
    print_table(results)
    if any(result["state"] != "passed" for result in results["checks"]):
        sys.exit(1)


def check_arguments(data: Path | None, dry: bool, only: Collection[str]) -> None:
    """Raises `UserError` when the checks cannot run."""
    if not dry and not torch.cuda.is_available():
        raise UserError("no GPU: torch.cuda.is_available() is false; accepted: a machine with one, or --dry")
    accepted = "accepted: a folder that benchmarks/gpu_data.py wrote"
    if data is None and not dry:
        raise UserError(f"--data: is missing; {accepted}, or --dry")
    for name in ("train", "validation", "portraits-0000") if data else ():
        if data and not (path := data / f"{name}.parquet").is_file():
            raise UserError(f"--data: {path} is missing; {accepted}")
    groups = [group for round_ in ROUNDS for group in round_]
    if unknown := set(only) - set(groups):
        raise UserError(f"--only: found {min(unknown)}; accepted: {', '.join(groups)}")


def drawn_data(work: Path) -> Path:
    """A new folder of drawings. Raises `UserError` when the packages that draw are missing."""
    try:
        from gpu_data import draw_data

        draw_data(work / "data")
    except ImportError as error:
        raise UserError(f"--data: is missing, and drawings need {error.name}; accepted: --data FOLDER") from error
    return work / "data"


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
        self._start()

    def _start(self) -> None:
        paths = [str(HERE), str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.skipped = [line["check"] for line in self.lines_so_far() if line["state"] != "waiting"]
        command = [sys.executable, "-m", "gpu_checks", self.group, self.context, str(self.lines), *self.skipped]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.work,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def lines_so_far(self) -> list[dict[str, Any]]:
        """The last line of each check so far; one that the process did not end is left out, NaN is None."""
        lines = {}
        for text in self.lines.read_text().splitlines() if self.lines.exists() else ():
            with suppress(ValueError):
                line = json.loads(text, parse_constant=lambda _: None)
                lines[line["check"]] = line
        return list(lines.values())

    def goes_on(self) -> bool:
        """Whether the group goes on: its process, or a new one for what is left when a check has ended it."""
        running = self.process.poll() is None
        if running and time.time() < self.deadline:
            return True
        self.stop()
        self._note("started", "late" if running else "crashed", self._log_end())
        waiting = [line for line in self.lines_so_far() if line["state"] == "waiting"]
        if waiting and not running and len(self.lines_so_far()) - len(waiting) > len(self.skipped):
            self._start()
            return True
        self._note("waiting", "late" if running else "crashed", "not reached")
        return False

    def stop(self) -> None:
        """Ends the process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _note(self, old: str, new: str, error: str) -> None:
        """Gives the checks in one state another."""
        lines = [line for line in self.lines_so_far() if line["state"] == old]
        with self.lines.open("a") as file:
            for line in lines:
                file.write(f"\n{json.dumps(line | {'state': new, 'error': error})}\n")

    def _log_end(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def results(self) -> list[dict[str, Any]]:
        """The results of the group's checks; a group that did not start has one that says so."""
        error = self._log_end() or "no check is registered"
        none = {"group": self.group, "check": "start", "state": "crashed", "error": error}
        return self.lines_so_far() or [none]


def print_table(results: dict[str, Any]) -> None:
    """Prints a line for each check, and below it what it missed or raised; figures are in `gpu.json`."""
    for result in results["checks"]:
        print(f"{result['state']:8} {result['group']:12} {result['check']:28} {result.get('seconds', 0):7.1f} s")
        for sentence in result.get("missed", ()):
            print(f"{'':10}{sentence}")
        if error := result.get("error"):
            print(f"{'':10}{(error.strip() or 'no output').splitlines()[-1]}")
    print(json.dumps({"seconds": results["seconds"], **results["machine"]}))


if __name__ == "__main__":
    run("gpu:main")
