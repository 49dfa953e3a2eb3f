"""The documentation says what is so: commands parse, keys load, links lead somewhere, messages are the code's."""

import argparse
import ast
import contextlib
import json
import logging
import re
import runpy
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from components.config import load_params
from components.config.augmentation import View
from components.config.promotion import Rule
from components.config.reference import reference
from components.config.variants import Roles, Term
from tests.project import REPOSITORY, make_project

README = REPOSITORY / "README.md"
PAGES = [
    README,
    REPOSITORY / "CONTRIBUTING.md",
    REPOSITORY / "SECURITY.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
FENCE = re.compile(r"^ *```(\w+)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)(#[^)\s]*)?\)")
FILE = re.compile(r"(?:benchmarks|components|docs|flows|profiles|tests)/[\w./-]+\.(?:py|md|yaml|ipynb)(?:::\w+)?")
OURS = ("cseflow", "make", "python", "dvc")


def test_the_configuration_page_is_what_the_types_say() -> None:
    page = (REPOSITORY / "docs/configuration.md").read_text()
    assert page == reference(), "run: python -m components.config.reference > docs/configuration.md"


def test_the_site_builds_without_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    config = load_config(str(REPOSITORY / "mkdocs.yml"), site_dir=str(tmp_path / "site"))
    with contextlib.suppress(SystemExit):  # what strict makes of a warning; the log says which
        build(config)
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


def _commands() -> Iterator[Any]:
    """Every command line of the pages that runs something of ours."""
    seen: dict[str, str] = {}
    for page in PAGES:
        text = re.sub(r"\\\n *", " ", page.read_text())
        lines = [line for language, block in FENCE.findall(text) if language == "sh" for line in block.splitlines()]
        lines += CODE.findall(FENCE.sub("", text))
        for line in lines:
            for command in re.split(r"&&|\|\||;", line.replace("…", "X").replace(r"\|", "|")):
                words = shlex.split(command, comments=True) if command.count("'") % 2 == 0 else []
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):  # its environment
                    words = words[1:]
                told = len(words) > 1 and Path(words[0]).name in OURS and not any("<" in word for word in words)
                if told and words[:2] != ["python", "-c"] and words[:3] != ["python", "-m", "pip"]:
                    seen.setdefault(shlex.join([Path(words[0]).name, *words[1:]]), page.name)
    for command, name in seen.items():
        yield pytest.param(shlex.split(command), id=f"{name}: {command}")


class Parsed(Exception):
    """A command line that its parser takes."""


@pytest.fixture
def parse_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every argparse parser stop after it has read its arguments."""
    parse = argparse.ArgumentParser.parse_args

    def parse_args(self: argparse.ArgumentParser, *arguments: Any, **keywords: Any) -> None:
        parse(self, *arguments, **keywords)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)


@pytest.mark.slow
@pytest.mark.parametrize("words", _commands())
@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_a_command_of_the_pages_is_one(words: list[str], parse_alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    program, *arguments = words
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
        assert {word for word in arguments if "=" not in word} <= set(targets)
    elif program == "dvc":
        from dvc.cli.parser import get_main_parser

        get_main_parser().parse_args(arguments)
    elif program == "python":
        monkeypatch.setattr(sys, "argv", arguments[1:])
        with pytest.raises(Parsed):
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        from flows.cli import main

        bare = len(arguments) == 1  # a sentence about the command, which may need arguments
        with pytest.raises(SystemExit if bare else Parsed):
            main([*arguments, *(["--help"] if bare else [])])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_keys_that_a_page_shows_are_taken(page: Path, tmp_path: Path) -> None:
    """Each block of YAML lies over those above it, as profiles do."""
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    shutil.copytree(REPOSITORY / "profiles", tmp_path / "profiles")
    blocks = [textwrap.dedent(block) for language, block in FENCE.findall(page.read_text()) if language == "yaml"]
    for number, block in enumerate(blocks):
        base = f"base: shown-{number - 1}\n" if number else ""
        (tmp_path / f"profiles/shown-{number}.yaml").write_text(base + block)
        load_params(tmp_path / "params.yaml", profile=f"shown-{number}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text()
    linked = [page.parent / target for target, _ in LINK.findall(text)]
    missing = [str(path) for path in linked if not path.exists()]
    for name in FILE.findall(text):
        path, _, test = name.partition("::")
        if not (REPOSITORY / path).is_file() or (test and f"def {test}(" not in (REPOSITORY / path).read_text()):
            missing.append(name)
    assert missing == []


def _kinds(annotation: Any, key: str) -> list[str]:
    """The names by which params.yaml tells the sections of a union apart."""
    return [each.model_fields[key].annotation.__args__[0] for each in get_args(get_args(annotation)[0])]


def _complete() -> Iterator[Any]:
    from flows.cli import _parser

    commands = next(action.choices for action in _parser()._actions if isinstance(action, argparse._SubParsersAction))
    yield "commands.md", [f"cseflow {name}" for name in commands if name not in ("down", "status")]
    yield (
        "commands.md",
        [f"make {t}" for t in re.findall(r"^([a-z-]+):.*##", (REPOSITORY / "Makefile").read_text(), re.M)],
    )
    yield "variants.md", [f"`{name}`" for name in Roles.model_fields]
    yield "variants.md", [f"`{name}`" for name in [*_kinds(Term, "term"), *_kinds(View, "kind")]]
    yield "promotion.md", [f"`{name}`" for name in _kinds(Rule, "rule")]
    packages = [path.parent for path in (REPOSITORY / "components").glob("*/__init__.py")]
    yield "architecture.md", [f"`components.{path.name}`" for path in packages]


@pytest.mark.parametrize(
    ("page", "names"), _complete(), ids=lambda value: value if isinstance(value, str) else value[0]
)
def test_a_page_leaves_none_out(page: str, names: list[str]) -> None:
    text = (REPOSITORY / "docs" / page).read_text()
    assert [name for name in names if not re.search(rf"{re.escape(name)}(?![\w-])", text)] == []


def _texts() -> str:
    """All strings of the code, one a line, with `…` for what an f-string puts in."""
    found = []
    for room in ("components", "flows"):
        for path in (REPOSITORY / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    pieces = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                    found.append("".join(map(str, pieces)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return "\n".join(found)


def test_the_messages_of_the_troubleshooting_page_are_the_codes() -> None:
    page, texts = (REPOSITORY / "docs/troubleshooting.md").read_text(), _texts()
    rows = re.findall(r"^\| (.+?) \|", page, re.MULTILINE)
    pieces = {piece.strip(" :;,()") for row in rows for message in CODE.findall(row) for piece in message.split("…")}
    unknown = {piece for piece in pieces if " " in piece and piece not in texts}
    assert len(pieces) > 20 and unknown == set()


@pytest.mark.slow
def test_the_notebook_trains_and_exports(tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make_project(tmp_path, tiny_encoder))
    notebook = json.loads((REPOSITORY / "docs/notebooks/esimcse.ipynb").read_text())
    space: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), space)
    assert len(space["losses"]) == len(space["sentences"]) // space["BATCH"] and space["difference"] < 1e-5
