"""Digests of our own code by its syntax trees: comments, docstrings and layout don't count, what is imported does."""

import ast
import hashlib
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import components

PACKAGE = components.__name__
ROOT = Path(components.__file__).parent


class Module(NamedTuple):
    """A module of ours: its file, what its syntax tree comes to, and the names that it imports anywhere in it."""

    path: Path
    digest: str
    imports: frozenset[str]


def imported_modules(roots: Iterable[str], left_out: Collection[str] = (), root: Path = ROOT) -> dict[str, Module]:
    """The modules `roots` and all of ours that they import, and so on, with the packages they lie in; by name.

    Args:
        roots: names of modules, such as `components.corpus.build`.
        left_out: modules and packages that don't count, nor what they import.
        root: the folder of the package `components`; default: the one that this process runs.
    """
    found: dict[str, Module] = {}
    waiting, seen = list(roots), set()
    while waiting:
        name = waiting.pop()
        if name in seen or any(name == other or name.startswith(f"{other}.") for other in left_out):
            continue
        seen.add(name)
        waiting.append(name.rpartition(".")[0])  # the package that it is of
        path = _file(root, name)
        if path is not None:
            found[name] = _module(path, path.stat().st_mtime_ns)
            waiting += found[name].imports
    return dict(sorted(found.items()))


def code_digests(roots: Iterable[str], left_out: Collection[str] = (), root: Path = ROOT) -> dict[str, str]:
    """Digests by path, `components/…`, of `imported_modules`.

    A folder's files that are no Python (prompts, templates) count with the modules that lie in it.
    """
    found: dict[Path, str] = {}
    for module in imported_modules(roots, left_out, root).values():
        found[module.path] = module.digest
        if module.path.parent != root:
            found |= {other: _bytes_digest(other) for other in _beside(module.path.parent)}
    return {(PACKAGE / path.relative_to(root)).as_posix(): found[path] for path in sorted(found)}


def _file(root: Path, name: str) -> Path | None:
    """The file of a module of ours; None for the name of anything else, as `from MODULE import NAME` has it too."""
    package, *steps = name.split(".")
    if package != PACKAGE or not steps:
        return None
    path = root.joinpath(*steps)
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


def _beside(folder: Path) -> Iterator[Path]:
    """The files of a package that are no Python, those of its folders too that are no packages themselves."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name != "__pycache__" and not (path / "__init__.py").exists():
            yield from _beside(path)
        elif path.is_file() and path.suffix not in (".py", ".pyc"):
            yield path


@cache
def _module(path: Path, _: int) -> Module:
    tree = ast.parse(path.read_bytes())
    return Module(path, hashlib.sha256(repr(_plain(tree)).encode()).hexdigest()[:16], frozenset(_imported(tree)))


def _bytes_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _imported(tree: ast.Module) -> Iterator[str]:
    """Names of modules, and of what is taken from them, which may be modules too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
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
