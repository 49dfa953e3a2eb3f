"""Drift: a new sample of the same source passes, another source does not; accepting is explicit."""

import json
from pathlib import Path

import numpy as np
import pytest

from components.config import Params, load_params
from components.errors import DataError
from components.validation import __main__ as stage
from components.validation import require_passed
from components.validation.drift import Profiles, read_baseline
from components.validation.report import Report
from components.validation.run import validate
from tests.validation.test_suites import GRADED, NLI, PAIRS, ROOT, write, write_corpus, write_tuples

pytestmark = pytest.mark.slow

BASELINE = Path("baselines/embedded/corpus.json")
COMMON = [
    "the",
    "of",
    "and",
    "in",
    "to",
    "a",
    "is",
    "as",
    "for",
    "that",
    "was",
    "by",
    "with",
    "are",
    "on",
    "from",
    "an",
    "or",
    "it",
    "his",
]


def params() -> Params:
    loaded = load_params(ROOT / "params.yaml")
    corpus = loaded.validation.corpus.model_copy(update={"min_rows": 20, "max_foreign": 1.0})
    tuples = loaded.validation.tuples.model_copy(update={"min_rows": 8})
    return loaded.model_copy(
        update={"validation": loaded.validation.model_copy(update={"corpus": corpus, "tuples": tuples})}
    )


def texts(seed: int, *, count: int = 1000, words: float = 14.0, common: list[str] = COMMON) -> list[str]:
    """Half of the words are common ones, the others rare and numbered."""
    generator = np.random.default_rng(seed)
    found = []
    for length in generator.poisson(words, count).clip(5, 60):
        rare = [f"word{number}" for number in generator.integers(0, 10**6, length)]
        frequent = generator.choice(common, length)
        found.append(" ".join(np.where(generator.random(length) < 0.5, frequent, rare)))
    return found


def judged(seed: int, accepted: Profiles | None = None, **source: object) -> Report:
    write_corpus(texts(seed, **source), texts(seed + 100, count=120, **source))  # type: ignore[arg-type]
    return validate("corpus", params(), accepted=accepted)[0]


def failed(report: Report) -> list[tuple[str, str]]:
    return [(each["suite"], each["type"]) for each in report["expectations"] if not each["passed"]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def accepted(folder: None) -> Profiles:
    return judged(0)["profiles"]


def test_another_sample_of_the_source_passes(accepted: Profiles) -> None:
    assert failed(judged(1, accepted)) == []


def test_longer_texts_are_drift_in_every_split(accepted: Profiles) -> None:
    kinds = [(split, "expect_column_kl_divergence_to_be_less_than") for split in ("train", "heldout")]
    assert failed(judged(1, accepted, words=18.0)) == kinds


def test_other_words_are_drift(accepted: Profiles) -> None:
    german = [
        "der",
        "die",
        "und",
        "in",
        "den",
        "von",
        "zu",
        "das",
        "mit",
        "sich",
        "des",
        "auf",
        "ist",
        "im",
        "dem",
        "nicht",
        "ein",
        "eine",
        "als",
        "auch",
    ]
    assert failed(judged(1, accepted, common=german)) == [
        (split, "expect_column_mean_to_be_between") for split in ("train", "heldout")
    ]


def test_other_scores_are_drift() -> None:
    write_corpus(texts(0), texts(1, count=20))
    pairs = [(f"Text {number}.", f"A text {number}.", 5 * number / 500) for number in range(500)]
    write("data/sts/STS.parquet", pairs, PAIRS)
    profiles = validate("sts", params())[0]["profiles"]
    write("data/sts/STS.parquet", [(first, second, score**2 / 5) for first, second, score in pairs], PAIRS)
    report, _ = validate("sts", params(), accepted=profiles)
    assert failed(report) == [("STS", "expect_column_kl_divergence_to_be_less_than")]


def test_levels_that_come_closer_to_the_anchor_are_drift() -> None:
    write("data/sts/STS.parquet", [("One text.", "Another.", 1.0)], PAIRS)
    write_tuples(NLI, GRADED)
    profiles = validate("tuples", params())[0]["profiles"]
    closer = [
        (anchor, positive, middle, f"{middle[:-1]} by two men last winter.", why)
        for anchor, positive, middle, _, why in GRADED
    ]
    write_tuples(NLI, closer)
    report, _ = validate("tuples", params(), accepted=profiles)
    drifted = [
        each["expectation"]
        for each in report["expectations"]
        if not each["passed"] and "accepted" in each["expectation"]
    ]
    assert len(drifted) == 1
    assert drifted[0].startswith("the match error rate of negative and anchor is on average within 0.1")


def test_a_passing_version_is_accepted_and_judges_the_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stage, "load_params", params)
    write_corpus(texts(0), texts(100, count=120))
    monkeypatch.setattr("sys.argv", ["validation", "corpus"])
    stage.main()
    assert f"(but drift: there is no {BASELINE} yet)" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["validation", "corpus", "--accept"])
    stage.main()
    monkeypatch.setattr("sys.argv", ["validation", "corpus"])
    stage.main()
    assert json.loads(Path("data/validation/corpus.json").read_text())["baseline"] == BASELINE.as_posix()
    write_corpus(texts(0, words=25.0), texts(100, count=120))
    with pytest.raises(DataError, match=r"accept what has drifted \(python -m components.validation corpus --accept\)"):
        stage.main()
    with pytest.raises(DataError, match="train: the number of words of a text is distributed as in the accepted"):
        require_passed("corpus")


def test_data_that_fail_otherwise_are_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "load_params", params)
    write_corpus([*texts(0), "Two words."], texts(100, count=120))
    monkeypatch.setattr("sys.argv", ["validation", "corpus", "--accept"])
    with pytest.raises(DataError, match="failed 1 of"):
        stage.main()
    assert not BASELINE.exists()


@pytest.mark.parametrize("content", ["", "[]", '{"train": {}}', '{"train": 3}'])
def test_a_broken_baseline_is_told(content: str) -> None:
    BASELINE.parent.mkdir(parents=True)
    BASELINE.write_text(content)
    with pytest.raises(DataError, match="is no baseline"):
        read_baseline(BASELINE)
