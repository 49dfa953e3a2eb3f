"""The flow `sweep` in a small project: what is trained, what a kill costs, how trials are ranked."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.errors import ConfigError, CseflowError
from components.evaluation.result import RunResult
from components.tracking import tags
from components.tracking.runs import finished_runs
from components.tracking.store import connect
from flows import sweep as module
from flows.cli import main
from tests.project import make_project, vouch

RATES = "training.learning_rate=1e-3,2e-3"
Train = Callable[..., str]


@pytest.fixture(scope="module")
def made(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("sweep") / "project", tiny_encoder, training={"sentences": 16})


@pytest.fixture
def project(made: Path, mlflow_store: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A project with data, as the working folder; runs and reports are the test's own."""
    for path in made.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    vouch(tmp_path)
    return tmp_path


@pytest.fixture
def trained(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """What a stand-in for the training was asked for, (seed, settings); the dev score is 1e5 times the rate."""
    asked: list[tuple[int, str]] = []

    def train(variant: str, seed: int, *, settings: list[str], **_: Any) -> str:
        asked.append((seed, " ".join(settings)))
        return f"{seed} {settings[-1]}"

    def results(run_ids: list[str]) -> list[RunResult]:
        rates = [float(run_id.partition("=")[2]) for run_id in run_ids]
        return [RunResult("simcse", 0, "", {"sts/STSB-dev": 1e5 * rate}) for rate in rates]

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "results_of", results)
    return asked


def test_a_sweep_from_the_command_line_trains_each_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["sweep", "simcse", "--set", RATES, "--seeds", "0"]
    main(command)
    first = capsys.readouterr().out
    (parent,) = (run for run in connect().search_runs(["1"], "") if run.data.tags[tags.KIND] == "sweep")
    children = finished_runs([parent.info.run_id])
    main(command)
    assert len(children) == 2 and sum(f"cseflow compare {child}" in first for child in children) == 1
    assert finished_runs([parent.info.run_id]) == children
    assert "cseflow experiment --variants simcse --seeds 0 --set training.learning_rate=0.00" in first
    assert "STSB" not in first.replace("STSB-dev", "") and "sts/" not in first


def test_a_killed_sweep_goes_on_with_the_trial_that_was_killed(
    trained: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.train

    def killed(variant: str, seed: int, *, settings: list[str], **options: Any) -> str:
        if settings == ["training.learning_rate=0.002"]:
            raise KeyboardInterrupt
        return real(variant, seed, settings=settings, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "train", killed)
        module.sweep("simcse", [RATES], seeds=[0])
    done = module.sweep("simcse", [RATES], seeds=[0])
    assert [settings.partition("=")[2] for _, settings in trained] == ["0.001", "0.002"]
    assert [trial.mean for trial in done.trials] == pytest.approx([200.0, 100.0])
    (path,) = Path("runs").glob(f"sweep-*/{module.STORAGE}")
    with sqlite3.connect(path) as database:
        assert database.execute("select count(*) from trials where state = 'COMPLETE'").fetchone() == (2,)


def test_more_trials_go_on_with_the_ones_before(trained: list[tuple[int, str]]) -> None:
    rates = "training.learning_rate=1e-4..1e-2"
    first = module.sweep("simcse", [rates], seeds=[0], trials=2)
    more = module.sweep("simcse", [rates], seeds=[0], trials=5)
    assert len(trained) == 5 and {trial.number for trial in first.trials} < {trial.number for trial in more.trials}
    assert len({settings for _, settings in trained}) == 5
    assert (more.page.parent / "importances.png").is_file()


def test_a_trial_that_fails_is_told_and_the_others_count(
    trained: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.train

    def diverging(variant: str, seed: int, *, settings: list[str], **options: Any) -> str:
        if settings == ["training.learning_rate=0.002"]:
            raise CseflowError("the loss is nan")
        return real(variant, seed, settings=settings, **options)

    monkeypatch.setattr(module, "train", diverging)
    for _ in range(2):
        done = module.sweep("simcse", [RATES], seeds=[0, 1])
    assert [trial.failure for trial in done.trials] == ["", "the loss is nan"]
    assert [seed for seed, _ in trained] == [0, 1] and done.trials[0].mean == pytest.approx(100.0)
    assert "the loss is nan" in done.page.read_text() and (done.page.parent / "slices.png").is_file()


@pytest.mark.parametrize(
    ("variant", "text", "said"),
    [
        ("simcse", "training.learning_rate=1e-3,-1", "greater than 0"),
        ("simcse", "training.learnin_rate=1,2", "did you mean 'learning_rate'"),
        ("simcse", "promotion.model=a,b", "promotion.model changes nothing that a run of simcse depends on"),
        ("simcse-sup", "training.epochs=1,2", "set variants.simcse-sup.training.epochs"),
        ("simcze", "training.epochs=1,2", "did you mean 'simcse'"),
    ],
)
def test_what_can_t_be_searched_is_said_before_anything_is_trained(
    trained: list[tuple[int, str]], variant: str, text: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        module.sweep(variant, [text], seeds=[0])
    assert not trained and not Path("runs").exists()
