"""The flow `promote` on runs of a real MLflow store: what it promotes, announces and says of an odd champion."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.card.card import CARD, HERE
from components.config import Params, load_params
from components.evaluation.predictions import save_predictions
from components.evaluation.sts import spearman
from components.files import file_digest
from components.tracking import registry, tags
from components.tracking.delivery import deliver
from components.tracking.journal import Journal
from components.tracking.runs import load_result
from flows import compare as report
from flows import promote as gate
from flows.cli import main
from tests.project import REPOSITORY
from tests.sources.hub import HubServer

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

    def finished(variant: str, noise: float, seed: int = 0, pairs: int = 200, encoder: Path = tiny_encoder) -> str:
        folder = tmp_path / "runs" / f"{variant}-{seed}-{noise}"
        folder.mkdir(parents=True, exist_ok=True)
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
                journal.model(encoder)
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


def test_the_card_has_the_verdict_beside_champion_and_untrained_encoder(
    params: Params, run: Run, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    untrained = run("untrained", 2.0)
    for variant, noise in (("simcse", 1.0), ("esimcse", 0.5)):
        encoder = tmp_path / "runs" / variant / "encoder"
        shutil.copytree(tiny_encoder, encoder)
        (encoder / CARD).write_text(f"# {variant}\n\n<!-- promotion -->\n<!-- end of promotion -->\n")
        judged(params, untrained, run(variant, noise, encoder=encoder))
    champion = registry.local_copy(f"models:/{MODEL}@champion", tmp_path / "copy")
    card = (champion / CARD).read_text()
    assert "# esimcse" in card and "Gate passed" in card
    assert "| champion, seed 0 |" in card and "| untrained encoder |" in card
    assert file_digest(champion / "model.safetensors") == file_digest(tiny_encoder / "model.safetensors")


def test_the_card_of_a_candidate_that_failed_says_so_in_its_folder_too(
    params: Params, run: Run, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs/simcse-0-3.0"
    encoder = folder / "encoder"
    shutil.copytree(tiny_encoder, encoder)
    (encoder / CARD).write_text("# simcse\n\n<!-- promotion -->\n<!-- end of promotion -->\n")
    judged(params, run("untrained", 2.0), run("simcse", 3.0, encoder=encoder))
    assert "Gate not passed" in (encoder / CARD).read_text()


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with params.yaml as the working folder, and reports without pictures."""
    for name in ("params.yaml", "profiles"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("components.report.page.PICTURES", ())


def test_runs_are_compared_and_judged_from_the_terminal(
    terminal: None, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    untrained, trained = run("untrained", 2.0), run("simcse", 0.1)
    main(["promote", untrained, trained])
    said = capsys.readouterr().out
    assert "simcse" in said and "Gate" in said
    main(["compare", untrained, "runs/simcse-0-0.1"])
    said = capsys.readouterr().out
    assert "untrained" in said and "Report: reports/comparison/index.html" in said


def test_a_terminal_names_the_run_that_there_is_not(
    terminal: None, mlflow_store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["compare", "nowhere"], ["promote", "nowhere"], ["push", "lab/new", "--run", "nowhere"]):
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert ended.value.code == 1 and "MLflow has no run 'nowhere'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["push", "lab/new"])
    assert "cse-encoder has no champion yet" in capsys.readouterr().err


def test_a_run_is_pushed_from_the_terminal_with_a_card_that_loads_it(
    terminal: None,
    run: Run,
    tiny_encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    encoder = tmp_path / "carded"
    shutil.copytree(tiny_encoder, encoder)
    (encoder / CARD).write_text(f'# simcse\n\nSentenceTransformer("{HERE}")\n')
    trained = run("simcse", 1.0, encoder=encoder)
    with HubServer({"models/other/theirs": {}}, {"secret-of-lab": "lab"}) as hub:
        for name, value in (("HF_ENDPOINT", hub.url), ("HF_TOKEN", "secret-of-lab"), ("no_proxy", "*")):
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        main(["push", "lab/new", "--run", trained, "--dry-run"])
        shown = capsys.readouterr().out
        assert "model.safetensors" in shown and "nothing was sent" in shown and len(hub.repositories) == 1
        main(["push", "lab/new", "--run", trained])
        pushed = hub.repositories["models/lab/new"]
    assert pushed["model.safetensors"] == (tiny_encoder / "model.safetensors").read_bytes()
    assert b'SentenceTransformer("lab/new")' in pushed[CARD] and "secret-of-lab" not in capsys.readouterr().out
