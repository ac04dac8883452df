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
        total.update(_tree_digest(path))
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
    names = set()
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    paths = {tuple(name.split(".")[:depth]) for name in names for depth in (1, 2, 3, 4)}
    candidates = [root.joinpath(*path) for path in paths if path[0] == "facemill"]
    files = {path.with_suffix(".py") for path in candidates} | {path / "__init__.py" for path in candidates}
    return tuple(sorted(path for path in files if path.is_file()))


def _root(script: Path) -> Path:
    return script.parent.parent


def _carries(path: Path, root: Path) -> bool:
    return path.relative_to(root).as_posix().startswith(CARRIERS)


@cache
def _parsed(source: Path) -> ast.Module:
    return ast.parse(source.read_bytes(), source)


@cache
def _tree_digest(source: Path) -> bytes:
    words: list[str] = []
    _collect(_parsed(source), words)
    return hashlib.sha256("\n".join(words).encode()).digest()


def _collect(node: object, words: list[str]) -> None:
    """Appends a syntax tree as a sequence of words, the same for the same code."""
    if isinstance(node, list):
        words.append("[")
        for child in node:
            if not (_is_bare_string(child) or _is_description(child)):
                _collect(child, words)
        words.append("]")
    elif isinstance(node, ast.AST):
        words.append(type(node).__name__)
        for name in node._fields:
            value = getattr(node, name, None)
            if value is not None and value != [] and name not in IGNORED:
                words.append(name)
                _collect(value, words)
    else:
        words.append(repr(node))


def _is_bare_string(node: object) -> bool:
    """A docstring, of whatever it stands below."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_description(node: object) -> bool:
    return isinstance(node, ast.keyword) and node.arg == "description"
