"""Signatures of library functions, read from their sources: nothing that their modules import is imported.

A door under `scripts/` names its function as `run("facemill.stage.module:function")`. Its help and the options that a
rule may give follow from the function's source alone, so that neither waits for PyTorch.
"""

import ast
import importlib
import importlib.util
import inspect
import typing
from functools import cache
from pathlib import Path
from typing import Any


def door_of(script: Path) -> str:
    """The `module:function` that a door's `run(...)` names. Raises `ValueError` when it names none."""
    for node in ast.walk(ast.parse(script.read_bytes(), script)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "run":
            [function, *_] = node.args
            if isinstance(function, ast.Constant) and isinstance(function.value, str):
                return function.value
    raise ValueError(f'{script}: calls no run("module:function")')


@cache
def read_options(source: Path, function: str) -> dict[str, bool]:
    """The keyword-only parameters of a function in a source file, and whether each is required."""
    arguments = _definition(ast.parse(source.read_bytes(), source), function).args
    return {a.arg: d is None for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)}


def read_signature(function: str) -> tuple[inspect.Signature, str]:
    """The typed signature of `module:function`, and its docstring.

    Only those of the module's imports are run that the annotations name.
    """
    module, name = function.split(":")
    spec = importlib.util.find_spec(module)
    assert spec and spec.origin, f"{module} has no source"
    tree = ast.parse(Path(spec.origin).read_bytes(), spec.origin)
    definition = _definition(tree, name)
    positional, named_only = definition.args.args, definition.args.kwonlyargs
    arguments = [*positional, *named_only]
    required = [None] * (len(positional) - len(definition.args.defaults))
    defaults = [*required, *definition.args.defaults, *definition.args.kw_defaults]
    annotations = {argument.arg: argument.annotation for argument in arguments if argument.annotation}
    named = {n.id for annotation in annotations.values() for n in ast.walk(annotation) if isinstance(n, ast.Name)}
    space: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            wanted = [alias for alias in node.names if (alias.asname or alias.name) in named]
            space |= {a.asname or a.name: getattr(importlib.import_module(node.module), a.name) for a in wanted}

    def holder() -> None: ...

    holder.__annotations__ = {key: ast.unparse(annotation) for key, annotation in annotations.items()}
    hints = typing.get_type_hints(holder, space)
    empty = inspect.Parameter.empty
    parameters = [
        inspect.Parameter(
            argument.arg,
            inspect.Parameter.KEYWORD_ONLY if argument in named_only else inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=empty if default is None else ast.literal_eval(default),
            annotation=hints.get(argument.arg, empty),
        )
        for argument, default in zip(arguments, defaults, strict=True)
    ]
    return inspect.Signature(parameters), ast.get_docstring(definition) or ""


def _definition(tree: ast.Module, name: str) -> ast.FunctionDef:
    return next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
