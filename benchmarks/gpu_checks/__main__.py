"""One group of checks, in a process of its own: `python -m gpu_checks GROUP CONTEXT RESULTS [SKIP ...]`.

A fault of CUDA ends the process, and with it no more than the check that ran: the caller starts the rest anew. A check
whose time is up leaves its figures so far, and where it was.
"""

import faulthandler
import importlib
import json
import sys
import threading
import time
import traceback
from pathlib import Path

from gpu_checks import GROUPS, Context, Data, Report, synchronize


def main(group: str, context_json: str, results: Path, skip: list[str]) -> None:
    """Runs the checks of a group that are not skipped; appends a line of JSON before and after each."""
    values = json.loads(context_json)
    paths = {name: Path(values[name]) for name in ("out", "work")}
    context = Context(Data(Path(values["data"])), **paths, dry=values["dry"], deadline=values["deadline"])
    importlib.import_module(f"gpu_checks.{group}")
    checks = {name: function for name, function in GROUPS[group].items() if name not in skip}
    for name in checks:
        _append(results, {"group": group, "check": name, "state": "waiting"})
    faulthandler.dump_traceback_later(max(1, context.seconds_left - 3))  # into the log, whose end the caller reads
    for name, function in checks.items():
        _append(results, {"group": group, "check": name, "state": "started"})
        report, start, error = Report(), time.monotonic(), None
        timer = threading.Timer(max(0, context.seconds_left - 1), _note_late, (results, group, name, report))
        timer.daemon = True
        timer.start()
        try:
            function(context, report)
            synchronize()  # so that a fault shows in the check that made it
        except (Exception, SystemExit):
            error = traceback.format_exc()
        timer.cancel()
        state = "failed" if error else "missed" if report.missed else "passed"
        result = {"group": group, "check": name, "state": state, "seconds": round(time.monotonic() - start, 2)}
        result |= {"figures": report.figures, "missed": report.missed} | ({"error": error} if error else {})
        _append(results, result)
        synchronize()  # raises what CUDA raises from now on in every check of this process, which ends here


def _note_late(results: Path, group: str, name: str, report: Report) -> None:
    line = {"group": group, "check": name, "state": "started", "error": "time is up"}
    _append(results, line | {"figures": report.figures, "missed": report.missed})


def _append(path: Path, line: dict) -> None:
    with path.open("a") as file:
        file.write(f"\n{json.dumps(line)}\n")  # a line that was cut off before it ends here


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
