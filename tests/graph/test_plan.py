"""Which stages run again for which change of params.yaml, and what is made for which variants."""

from pathlib import Path
from typing import Any

import pytest

from components.config import load_params
from components.graph.plan import STAGES, Demand, plan_of
from tests.graph.project import change, lay_out, plans

FILE = {"uri": "file:///elsewhere"}
TASK = {"source": "stsb", "columns": {"first": 1, "second": 2, "score": 3}}
OF_CORPUS = [{"set": "corpus", "roles": {"anchor": "identity", "positive": "identity"}}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lay_out(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("key", "value", "stages"),
    [
        ("sources.encoder", FILE, ["fetch"]),
        ("sources.unused", FILE, []),
        ("encoder.source", "stsb", ["fetch", "views", "validate@views"]),
        ("encoder.pooling", "cls", []),
        ("corpus.min_words", 9, ["corpus", "validate@corpus"]),
        (
            "corpus.language",
            "de",
            [
                *("corpus", "synthesize@nli", "synthesize@sts"),
                *("validate@corpus", "validate@nli", "validate@tuples", "validate@sets"),
            ],
        ),
        ("augmentation.views.heavy", {"kind": "word_repetition", "rate": 0.6}, ["views", "validate@views"]),
        ("augmentation.max_length", 16, ["views", "validate@views"]),
        ("evaluation.sts.SICKR", "stsb", ["sts"]),
        ("evaluation.tasks", {"mine": TASK}, ["sts"]),
        ("evaluation.tasks", {"mine": TASK | {"source": "llm", "scale": [0, 1]}}, ["fetch", "sts"]),
        ("evaluation.batch_size", 8, []),
        ("synthesis.tuples.nli", 400, ["synthesize@nli"]),
        ("synthesis.filters.cosine", "encoder", ["fetch", "synthesize@nli", "synthesize@sts"]),
        ("synthesis.local.batch_size", 8, ["synthesize@nli", "synthesize@sts"]),
        ("validation.corpus.min_rows", 5, ["validate@corpus"]),
        ("training.learning_rate", 1e-4, []),
        ("experiment.seeds", [1], []),
        ("seed", 1, ["corpus", "synthesize@nli", "synthesize@sts", "views"]),
        ("profile", "paper", [stage for stage in STAGES if stage != "nli"]),
    ],
)
def test_a_stage_runs_again_for_what_it_reads_itself(folder: Path, key: str, value: Any, stages: list[str]) -> None:
    before = plans(load_params(folder / "params.yaml"))
    after = plans(change(folder, key, value))
    assert {stage for stage in STAGES if before[stage] != after[stage]} == set(stages)


def test_no_llm_is_asked_for_variants_without_tuples(folder: Path) -> None:
    params = change(folder, "experiment.variants", ["simcse", "esimcse"])
    assert Demand.of(params).sources(params) == ["corpus", "encoder", "stsb"]
    found = plans(params)
    assert [stage for stage in STAGES if not found[stage]] == ["nli", "sets", "synthesize@nli", "synthesize@sts"]


def test_a_backend_that_is_not_chosen_is_no_dependency(folder: Path) -> None:
    params = load_params(folder / "params.yaml")
    code = plan_of("synthesize@sts", params, Demand.of(params))["code"]
    assert any("backends/local" in path for path in code)
    assert not any(path.endswith("openai.py") for path in code)


def test_a_variants_own_encoder_has_the_views_that_it_trains_on(folder: Path) -> None:
    change(folder, "sources.other", FILE)
    own = {"description": "another base", "data": OF_CORPUS, "objective": [{"term": "info_nce"}]}
    change(folder, "variants.own", own | {"encoder": {"source": "other"}})
    params = change(folder, "experiment.variants", ["esimcse", "own"])
    demand = Demand.of(params)
    assert demand.views == {"encoder": {"identity", "word_repetition"}, "other": {"identity"}}
    assert "other" in demand.sources(params)


def test_a_set_of_others_is_made_for_the_variants_that_train_on_it(folder: Path) -> None:
    change(folder, "sources.pairs", FILE)
    mine = {"source": "pairs", "columns": {"anchor": "question", "positive": "answer"}}
    params = change(folder, "sets", {"mine": mine, "other": mine | {"source": "stsb"}})
    assert Demand.of(params).sets == ()
    data = [{"set": "sets/mine", "roles": {"anchor": "anchor", "positive": "positive"}}]
    change(folder, "variants.own", {"description": "pairs", "data": data, "objective": [{"term": "info_nce"}]})
    params = change(folder, "experiment.variants", ["own"])
    assert Demand.of(params).sets == ("mine",)
    assert Demand.of(params).receipts(params)["sets"] == ["pairs"]
    assert list(plans(params)["sets"]) == ["sets.mine"]


def test_the_encoders_that_mine_negatives_and_tell_false_ones_are_fetched(folder: Path) -> None:
    for source in ("pairs", "miner", "guide"):
        change(folder, f"sources.{source}", FILE)
    mine = {"source": "pairs", "columns": {"anchor": "q", "positive": "a"}, "mine": {"encoder": "miner", "count": 2}}
    change(folder, "sets", {"mine": mine})
    roles = {"anchor": "anchor", "positive": "positive", "negatives": ["negative_1", "negative_2"]}
    own = {"description": "pairs", "data": [{"set": "sets/mine", "roles": roles}], "objective": [{"term": "info_nce"}]}
    change(folder, "variants.own", own | {"false_negatives": {"reference": "guide"}})
    demand = Demand.of(params := change(folder, "experiment.variants", ["own"]))
    assert demand.receipts(params)["sets"] == ["miner", "pairs"]
    assert {"miner", "guide"} <= set(demand.sources(params))
    assert list(plans(params)["sets"]) == ["sets.mine", "seed"]


def test_the_transfer_tasks_are_held_out_of_sets_unless_a_set_keeps_them(folder: Path) -> None:
    for source in ("pairs", "senteval"):
        change(folder, f"sources.{source}", FILE)
    change(folder, "evaluation.transfer", {"MR": "senteval"})
    data = [{"set": "sets/mine", "roles": {"anchor": "anchor", "positive": "positive"}}]
    mine = {"source": "pairs", "columns": {"anchor": "q", "positive": "a"}}
    for leaks, held in (("drop", ["pairs", "senteval"]), ("keep", ["pairs"])):
        change(folder, "sets", {"mine": mine | {"leaks": leaks}})
        change(folder, "variants.own", {"description": "pairs", "data": data, "objective": [{"term": "info_nce"}]})
        params = change(folder, "experiment.variants", ["own"])
        assert Demand.of(params).receipts(params)["sets"] == held
