"""Digests of the code behind a script, so that a change reruns the rules whose results may depend on it, and no other.

A digest covers the syntax trees of all library modules that a script reaches by imports. Docstrings, comments,
formatting and the descriptions of the config's fields are not in it; nor is the plumbing, which no result depends on:
`facemill/workflow/` and `facemill/log.py`.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

from facemill.workflow.signatures import door_of

CARRIERS = ("facemill/workflow/", "facemill/log.py")
"""Files and folders that no digest covers."""

IGNORED = {"ctx", "kind", "type_comment", "type_ignores", "type_params"}
"""Fields of syntax trees that do not change what code does, or that some versions of Python do not have."""


@cache
def code_digest(script: Path) -> str:
    """The first 16 hex digits of a SHA-256 over the code that a door reaches; the same on every Python."""
    total = hashlib.sha256()
    for path in code_files(script):
        total.update(f"{path.relative_to(_root(script))}\n".encode())
        total.update(_read(path)[1])
    return total.hexdigest()[:16]


def code_files(script: Path) -> list[Path]:
    """The modules of the library that a door reaches, directly or through another, but for `CARRIERS`.

    Imports are read from the sources, those inside functions too, and nothing is run. They are absolute throughout the
    project, which the linter checks; the library lies beside the script's folder.
    """
    root = _root(script)
    module, _ = door_of(script).split(":")
    start = root.joinpath(*module.split(".")).with_suffix(".py")
    reached, queue = {start}, [start]
    while queue:
        new = {path for path in imported_files(queue.pop(), root) if not _carries(path, root)} - reached
        reached |= new
        queue += new
    return sorted(reached)


@cache
def imported_files(source: Path, root: Path) -> tuple[Path, ...]:
    """The files of `facemill` under `root` that a source file imports, `__init__.py` of packages included."""
    names, _ = _read(source)
    return tuple(sorted({path for name in names if name.startswith("facemill") for path in _files_of(name, root)}))


@cache
def _files_of(name: str, root: Path) -> tuple[Path, ...]:
    """The files that are run for an imported dotted name: its module, and those of the packages above."""
    parts = name.split(".")
    paths = [root.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    files = [file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py")]
    return tuple(file for file in files if file.is_file())


def _root(script: Path) -> Path:
    return script.parent.parent


def _carries(path: Path, root: Path) -> bool:
    return path.relative_to(root).as_posix().startswith(CARRIERS)


@cache
def _read(source: Path) -> tuple[set[str], bytes]:
    """The dotted names that a source file imports, and the digest of its syntax tree."""
    names: set[str] = set()
    words: list[str] = []
    _collect(ast.parse(source.read_bytes(), source), names, words)
    return names, hashlib.sha256("\n".join(words).encode()).digest()


def _collect(node: object, names: set[str], words: list[str]) -> None:
    """Adds the names that a syntax tree imports, and appends it as a sequence of words, the same for the same code.

    One pass for both, since all of the library is read whenever Snakemake starts.
    """
    if isinstance(node, list):
        words.append("[")
        for child in node:
            if not (_is_bare_string(child) or _is_description(child)):
                _collect(child, names, words)
        words.append("]")
    elif isinstance(node, ast.AST):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        words.append(type(node).__name__)
        for field in node._fields:
            if field not in IGNORED and (value := getattr(node, field, None)) not in (None, []):
                words.append(field)
                _collect(value, names, words)
    else:
        words.append(repr(node))


def _is_bare_string(node: object) -> bool:
    """A docstring, of whatever it stands below."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_description(node: object) -> bool:
    return isinstance(node, ast.keyword) and node.arg == "description"
