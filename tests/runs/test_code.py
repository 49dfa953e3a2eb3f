"""Which edits of the code make another run, and which do not."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.code import ROOT
from components.runs.code import NOT_COUNTED, code_digest, counted_modules, digest_of


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A copy of the components."""
    return shutil.copytree(ROOT, tmp_path / "components", ignore=shutil.ignore_patterns("__pycache__"))


def file_of(code: Path, module: str) -> Path:
    path = code.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_the_same_code_has_the_same_digest_wherever_it_lies(code: Path) -> None:
    assert digest_of(code) == code_digest()


DECIDES = [  # one of every package, and what decides what is measured
    "components.augmentation.tokens",
    "components.encoder.pooling",
    "components.evaluation.transfer",
    "components.objectives.cosine",
    "components.runs.measure",
    "components.text",
    "components.training.plan",
    "components.variants",
]


@pytest.mark.parametrize("module", DECIDES)
def test_a_statement_of_a_module_that_decides_counts(code: Path, module: str) -> None:
    file = file_of(code, module)
    file.write_text(file.read_text() + "\nOTHER = 1\n")
    assert digest_of(code) != code_digest()


@pytest.mark.parametrize("change", [("2 * math.pi", "3 * math.pi"), ("def f", "def g"), ("b'x'", "'x'")])
def test_every_kind_of_change_in_a_statement_counts(code: Path, change: tuple[str, str]) -> None:
    file = file_of(code, "components.text")
    plain = file.read_text() + "\nimport math\ndef f(): return 2 * math.pi, b'x'\n"
    file.write_text(plain)
    before = digest_of(code)
    file.write_text(plain.replace(*change))
    assert digest_of(code) != before


def test_a_module_counts_as_soon_as_one_that_counts_imports_it(code: Path) -> None:
    (code / "training" / "schedules.py").write_text("RATE = 1\n")
    plan = file_of(code, "components.training.plan")
    plan.write_text(plan.read_text() + "\ndef late():\n    from components.training import schedules\n")
    before = digest_of(code)
    (code / "training" / "schedules.py").write_text("RATE = 2\n")
    assert digest_of(code) != before


def documented_otherwise(code: Path) -> None:
    for module in counted_modules(ROOT):
        file = file_of(code, module)
        text = file.read_text()
        # The first line of a docstring stands after its quotes; where those end one, nothing follows them.
        file.write_text(
            re.sub(r'^( *""")(?=\w)', r"\1In other words: ", text, flags=re.MULTILINE) + "\n\n# A comment.\n"
        )
        assert file.read_text().count("In other words: ") > 0


EDITS: dict[str, Callable[[Path], object]] = {
    "comments and docstrings": documented_otherwise,
    "what shows results": lambda code: (code / "report" / "plots.py").write_text("\n"),
    "what compares results": lambda code: (code / "evaluation" / "bootstrap.py").write_text("\n"),
    "what records them": lambda code: (code / "runs" / "run.py").write_text("\n"),
    "what makes the data": lambda code: (code / "augmentation" / "views.py").write_text("\n"),
    "byte code": lambda code: (code / "training" / "plan.pyc").write_bytes(b"1"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_nothing_else_counts(code: Path, edit: str) -> None:
    EDITS[edit](code)
    assert digest_of(code) == code_digest()


def test_what_is_left_out_exists() -> None:
    assert all(file_of(ROOT, module).is_file() for module in NOT_COUNTED)


def test_what_decides_the_numbers_reads_no_parameters_but_the_specification() -> None:
    whole = {"components.config", "components.config.load", "components.config.Params", "components.config.load_params"}
    readers = [name for name, module in counted_modules(ROOT).items() if whole & set(module.imports)]
    assert readers == ["components.training.run"]  # whose `train` makes the settings of them, and reads no more
