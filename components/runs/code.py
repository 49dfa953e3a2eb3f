"""Digest of the code that decides a run's numbers, by its syntax trees: comments, docstrings and layout don't count."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import components

# What a run does begins here; the modules of `components` that these import, and so on, count with them.
ROOTS = ("components.training.run", "components.runs.measure")
# Packages and modules that these import but whose code decides no number, and why.
NOT_COUNTED = {
    "components.config": "its values are in the specification themselves",
    "components.spec": "likewise",
    "components.errors": "sentences for the user",
    "components.files": "how files are written",
    "components.paths": "where they lie; data are told by their digests",
    "components.processes": "how many cores are used",
}


HERE = Path(components.__file__).parent


class Module(NamedTuple):
    """What of a module's source counts: a digest of its statements; and the names that it imports."""

    digest: str
    imports: tuple[str, ...]


@cache  # what a process has loaded does not change under it
def code_digest() -> str:
    """64 hexadecimal digits over the modules that decide a run's numbers."""
    return digest_of(HERE)


def digest_of(root: Path) -> str:
    """`code_digest` of the folder `components` that is given."""
    lines = (f"{name} {module.digest}\n" for name, module in counted_modules(root).items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def counted_modules(root: Path) -> dict[str, Module]:
    """The modules that count, by name, in order: those of `ROOTS` and what they import, wherever in them they do."""
    found: dict[str, Module] = {}
    waiting = list(ROOTS)
    while waiting:
        name = waiting.pop()
        if name not in found and not _is_left_out(name) and (path := _file(root, name)) is not None:
            found[name] = _module(path.read_bytes())
            waiting += found[name].imports
    return dict(sorted(found.items()))


@cache
def _module(source: bytes) -> Module:
    tree = ast.parse(source)
    return Module(hashlib.sha256(repr(_plain(tree)).encode()).hexdigest(), tuple(_imported(tree)))


def _is_left_out(name: str) -> bool:
    return any(name == other or name.startswith(f"{other}.") for other in NOT_COUNTED)


def _file(root: Path, name: str) -> Path | None:
    """The file of a module of ours; None for the name of anything else, as `from MODULE import NAME` has it too."""
    package, *steps = name.split(".")
    if package != "components" or not steps:
        return None
    path = root.joinpath(*steps)
    candidates = [path.with_suffix(".py"), path / "__init__.py"]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _plain(value: Any) -> Any:
    """A syntax tree as nested tuples, without docstrings, places, and what is empty: the same in any Python."""
    if isinstance(value, list):
        return tuple(_plain(item) for item in value)
    if not isinstance(value, ast.AST):
        return value
    fields = dict(ast.iter_fields(value))
    if isinstance(value, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _has_docstring(value):
        fields["body"] = fields["body"][1:]
    return (type(value).__name__, *((name, _plain(field)) for name, field in fields.items() if field not in (None, [])))


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
