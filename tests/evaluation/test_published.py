"""Published figures of all-MiniLM-L6-v2, Spearman ×100 ± 0.05, with the real weights."""

from pathlib import Path

import pytest

from components import paths
from components.evaluation.evaluate import encoder_of, evaluate_model, load_model

ROOT = Path(__file__).parents[2]
MODEL = ROOT / paths.SOURCES / "encoder"
SENTEVAL = ROOT.parent / "shared" / "senteval"
PUBLISHED = {"STSB": 82.03, "STS12": 72.37, "SICKR": 77.15}

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not MODEL.is_dir(), reason=f"{MODEL} is missing: run `dvc repro fetch`"),
]


@pytest.mark.parametrize("task", PUBLISHED)
def test_the_untrained_base_has_its_published_score(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    if task == "STSB" and not (paths.STS / "STSB.parquet").is_file():
        pytest.skip("data/sts is missing: run `dvc repro sts`")
    if task != "STSB" and not SENTEVAL.is_dir():
        pytest.skip(f"{SENTEVAL} is missing: SentEval's data are not the project's to ship")
    scores = evaluate_model(encoder_of(load_model(str(MODEL))), [task], None if task == "STSB" else SENTEVAL)
    assert scores[task] == pytest.approx(PUBLISHED[task], abs=0.05)
