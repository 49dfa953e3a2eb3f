"""Every command and stage says what it is for, and does nothing else."""

import argparse
import runpy
import sys
from pathlib import Path

import pytest

from flows.cli import _parser, main
from tests.project import REPOSITORY

pytestmark = pytest.mark.slow

STAGES = sorted(
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__main__")
    for room in ("benchmarks", "components", "flows")
    for path in (REPOSITORY / room).rglob("*.py")
    if '\nif __name__ == "__main__"' in path.read_text()
)
COMMANDS = next(action.choices for action in _parser()._actions if isinstance(action, argparse._SubParsersAction))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_a_stage_helps_and_does_nothing_else(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [stage, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(stage, run_name="__main__", alter_sys=True)
    assert not ended.value.code and "usage:" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_helps_and_does_nothing_else(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert not ended.value.code and "usage:" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert not ended.value.code and capsys.readouterr().out.startswith("cseflow 0.")
