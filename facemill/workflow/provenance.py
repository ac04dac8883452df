"""Which modules of the library a script runs, so that a change of one reruns the rules that depend on it."""

import ast
from functools import cache
from pathlib import Path


def code_files(script: Path) -> list[Path]:
    """The script and every module of `facemill` that it imports, directly or through another; the script first.

    Imports are read from the sources, those inside functions too, and nothing is run. They are absolute throughout the
    project, which the linter checks; the library lies beside the script's folder.
    """
    found = {script: None}
    queue = [script]
    while queue:
        for path in imported_files(queue.pop(), script.parent.parent):
            if path not in found:
                found[path] = None
                queue.append(path)
    return [script, *sorted(found.keys() - {script})]


@cache
def imported_files(source: Path, root: Path) -> tuple[Path, ...]:
    """The files of `facemill` under `root` that one source file names in its imports, packages' own files included."""
    names = set()
    for node in ast.walk(ast.parse(source.read_bytes(), source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    places = {tuple(name.split(".")[:depth]) for name in names for depth in (1, 2, 3, 4)}
    candidates = [root.joinpath(*place) for place in places if place[0] == "facemill"]
    files = {path.with_suffix(".py") for path in candidates} | {path / "__init__.py" for path in candidates}
    return tuple(sorted(path for path in files if path.is_file()))
