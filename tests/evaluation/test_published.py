"""Published figures of all-MiniLM-L6-v2, Spearman ×100 ± 0.05, with the real weights (fetched by `make test`)."""

from pathlib import Path

import pytest

from components import paths
from components.evaluation.evaluate import encoder_of, load_model
from components.evaluation.sts import evaluate_sts
from components.evaluation.sts_data import read_sts

SOURCES = Path(__file__).parents[2] / paths.SOURCES
SENTEVAL = Path(__file__).parents[3] / "shared" / "senteval"
PUBLISHED = {"STSB": (SOURCES / "stsb", 82.03), "STS12": (SENTEVAL, 72.37), "SICKR": (SENTEVAL, 77.15)}

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("task", PUBLISHED)
def test_the_untrained_base_has_its_published_score(task: str) -> None:
    folder, score = PUBLISHED[task]
    for needed in (SOURCES / "encoder", folder):
        if not needed.is_dir():
            pytest.skip(f"{needed} is missing: `make test` brings the encoder and STS-B, SentEval is the user's")
    encode = encoder_of(load_model(str(SOURCES / "encoder")))
    assert evaluate_sts(encode, {task: read_sts(task, folder)}).scores[task] == pytest.approx(score, abs=0.05)
