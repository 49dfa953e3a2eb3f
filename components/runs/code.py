"""Digest of the code that decides a run's numbers, by its syntax trees: comments, docstrings and layout don't count."""

import hashlib
from functools import cache
from pathlib import Path

from components.code import ROOT, Module, imported_modules

# What a run does begins here; the modules of `components` that these import, and so on, count with them.
ROOTS = ("components.training.run", "components.runs.measure")
# Packages and modules that these import but whose code decides no number, and why.
NOT_COUNTED = {
    "components.config": "its values are in the specification themselves",
    "components.spec": "likewise",
    "components.errors": "sentences for the user",
    "components.files": "how files are written",
    "components.paths": "where they lie; data are identified by their digests",
    "components.processes": "how many cores are used",
}


@cache  # what a process has loaded does not change under it
def code_digest() -> str:
    """64 hexadecimal digits over the modules that decide a run's numbers."""
    return digest_of(ROOT)


def digest_of(root: Path) -> str:
    """`code_digest` of the folder `components` that is given."""
    lines = (f"{name} {module.digest}\n" for name, module in counted_modules(root).items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def counted_modules(root: Path) -> dict[str, Module]:
    """The modules that count, by name, in order: those of `ROOTS` and what they import, wherever in them they do."""
    return imported_modules(ROOTS, NOT_COUNTED, root)
