"""The flow `promote` on runs of a real MLflow store: what it promotes, announces and says of an odd champion."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.config import Params, load_params
from components.evaluation.predictions import save_predictions
from components.evaluation.sts import spearman
from components.tracking import registry, tags
from components.tracking.delivery import deliver
from components.tracking.journal import Journal
from components.tracking.runs import load_result
from flows import compare as report
from flows import promote as gate
from tests.project import REPOSITORY

RULES = [{"rule": "gain", "minimum": 0.1, "resamples": 200}, {"rule": "validations"}]
MODEL = "cse-encoder"
Run = Callable[..., str]


@pytest.fixture
def params() -> Params:
    loaded = load_params(REPOSITORY / "params.yaml")
    section = loaded.promotion.model_validate({"model": MODEL, "rules": RULES})
    return loaded.model_copy(update={"promotion": section})


@pytest.fixture
def run(mlflow_store: str, tiny_encoder: Path, tmp_path: Path) -> Run:
    """Deliver a finished run with the encoder and the scores of cosines under `noise`; its id."""

    def finished(variant: str, noise: float, seed: int = 0, pairs: int = 200) -> str:
        folder = tmp_path / "runs" / f"{variant}-{seed}-{noise}"
        folder.mkdir(parents=True)
        shared = np.random.default_rng(0)
        gold = shared.uniform(0, 5, pairs)
        cosines = gold + noise * shared.normal(size=pairs)
        score = 100 * spearman(gold, cosines)
        save_predictions(folder / "predictions.parquet", {"STSB": gold}, {"STSB": cosines})
        own = {tags.VARIANT: variant, tags.SEED: str(seed)} | tags.validation_tags({"corpus": True})
        with Journal(folder) as journal:
            journal.start(variant, "test", tags=own)
            journal.metrics({"sts/STSB": score, "sts/avg": score, "sts/STSB-dev": score}, 0)
            journal.artifact(folder / "predictions.parquet", "scores")
            if variant != "untrained":  # which is not promoted
                journal.model(tiny_encoder)
            journal.finish()
        return str(deliver(folder).run_id)

    return finished


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is emitted; without Prefect's server, which this is not about."""
    emitted: list[dict[str, Any]] = []
    monkeypatch.setattr("prefect.events.emit_event", lambda name, **parts: emitted.append({"name": name, **parts}))
    monkeypatch.setattr(gate, "tracked", lambda: True)
    return emitted


def judged(params: Params, *run_ids: str) -> gate.Promotion:
    return gate._judged([load_result(run_id) for run_id in run_ids], params)


def test_an_event_lost_to_a_kill_is_emitted_by_the_next_run_once(
    params: Params, run: Run, events: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = run("untrained", 2.0), run("simcse", 1.0)

    def killed(name: str, **parts: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("prefect.events.emit_event", killed)
        judged(params, *ids)
    for _ in range(2):
        outcome = judged(params, *ids)
    (event,) = events
    assert event["payload"]["run_id"] == ids[1] and set(event["payload"]["run_ids"]) == set(ids)
    assert "is champion of" in outcome.text and "Gate passed" in outcome.report


def test_the_next_candidate_is_compared_with_all_seeds_of_the_champion(
    params: Params, run: Run, events: list[dict[str, Any]]
) -> None:
    judged(params, run("untrained", 2.0), run("simcse", 1.0, 0), run("simcse", 1.1, 1))
    outcome = judged(params, run("esimcse", 0.5))
    assert outcome.promoted == f"models:/{MODEL}/2" and "champion, mean of seeds 0, 1" in outcome.report


def test_an_alias_set_by_hand_on_a_foreign_model_is_named_with_the_way_on(
    params: Params, run: Run, tiny_encoder: Path, tmp_path: Path
) -> None:
    with Journal(tmp_path / "foreign") as journal:
        journal.start("foreign", "test")
        journal.model(tiny_encoder)
        journal.finish()
    registry.promote(MODEL, str(deliver(tmp_path / "foreign").run_id), report_markdown="")
    outcome = judged(params, run("untrained", 2.0), run("simcse", 1.0))
    assert not outcome.passed
    assert "The alias champion of cse-encoder leads to version 1" in outcome.text and "rollback" in outcome.text


def test_a_champion_measured_on_other_pairs_is_named_with_the_way_on(params: Params, run: Run) -> None:
    judged(params, run("untrained", 2.0), run("simcse", 1.0))
    outcome = judged(params, run("esimcse", 0.5, pairs=150))
    assert not outcome.passed and outcome.champion == f"models:/{MODEL}/1"
    assert "STSB holds other pairs" in outcome.text and "remove the alias" in outcome.report


def test_the_page_has_the_gate_s_figures_and_today_s_champion(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.report.page.PICTURES", ())
    monkeypatch.setattr(report, "load_params", lambda **_: load_params(REPOSITORY / "params.yaml"))
    ids = [run("untrained", 2.0), run("simcse", 1.0)]
    outcome = judged(load_params(REPOSITORY / "params.yaml"), *ids)
    page = report.compare(ids, into=tmp_path / "report", verdict=outcome.report).read_text()
    (row,) = [
        line for line in (tmp_path / "report/leaderboard.md").read_text().splitlines() if line.startswith("| sim")
    ]
    assert row.split(" | ")[-2] in outcome.report
    assert "champion when this was written" in page
