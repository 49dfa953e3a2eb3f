"""Another language end to end: a Chinese corpus and Chinese STS tasks, a multilingual tokenizer, no STS-B anywhere."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from components import paths
from components.augmentation.shards import make_view
from components.config import Params, load_params, variant_settings
from components.corpus.build import build
from components.evaluation.embed import encoder_of
from components.evaluation.evaluate import evaluate_model, load_model
from components.evaluation.measure import measure
from components.evaluation.sts_data import write_sts
from components.training.run import train
from components.validation.run import validate
from tests.encoder.architectures import checkpoint
from tests.project import REPOSITORY

pytestmark = pytest.mark.slow

WHO, WHERE, WHAT = (
    ["那只猫", "一条狗", "老国王", "他的女儿", "那个孩子", "我的朋友"],
    ["在大房子里", "在河边", "在城市中心", "在学校门口"],
    ["看书。", "吃晚饭。", "等了很久。", "写了一封信。"],
)
SENTENCES = ["".join(parts) for parts in product(WHO, WHERE, WHAT)]


def pairs(path: Path, seed: int) -> None:
    """60 pairs, one a line: first sentence, second sentence, score from 0 to 1."""
    generator = np.random.default_rng(seed)
    drawn = generator.choice(SENTENCES, (60, 2))
    scores = generator.integers(0, 6, 60) / 5
    path.write_text("".join(f"{one}\t{two}\t{score}\n" for (one, two), score in zip(drawn, scores, strict=True)))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A folder in which the stages corpus, sts and views have run, as params.yaml says."""
    monkeypatch.chdir(tmp_path)
    task: dict[str, Any] = {"source": "zh", "columns": {"first": 1, "second": 2, "score": 3}, "scale": [0, 1]}
    yaml = YAML()
    params = yaml.load(REPOSITORY / "params.yaml")
    params["sources"]["zh"] = {"uri": "file://zh/"}
    params["corpus"] |= {"format": "text", "language": "zh", "heldout": 0.2}
    params["augmentation"]["views"] = {"identity": {"kind": "identity"}}
    params["evaluation"] |= {
        "sts": {},
        "tasks": {"zh-sts": task | {"file": "test.tsv"}, "zh-sts-dev": task | {"file": "dev.tsv"}},
        "dev": "zh-sts-dev",
    }
    params["variants"] = {name: params["variants"][name] for name in ("untrained", "simcse")}
    params["experiment"]["variants"] = ["simcse"]
    params["promotion"]["rules"] = [{"rule": "floor", "metric": "sts/zh-sts", "minimum": 10.0}]
    params["training"] |= {"sentences": 16, "batch_size": 8, "evaluation_steps": 1}
    yaml.dump(params, Path("params.yaml"))
    Path("profiles").symlink_to(REPOSITORY / "profiles")
    (paths.SOURCES / "zh").mkdir(parents=True)
    for seed, name in enumerate(("test.tsv", "dev.tsv")):
        pairs(paths.SOURCES / "zh" / name, seed)
    english = "The old king saw the river in the city.\n"
    corpus = Path("corpus.txt")
    corpus.write_text("".join(f"{sentence}\n" for sentence in SENTENCES) + english)
    checkpoint("xlm-roberta", paths.SOURCES / "encoder")
    loaded = load_params()
    build(corpus, paths.CORPUS, loaded.corpus, loaded.seed)
    write_sts(loaded.evaluation)
    for split in ("train", "heldout"):
        make_view("identity", loaded, corpus=paths.CORPUS / f"{split}.parquet", views=paths.VIEWS / split)
    return loaded


def test_a_chinese_task_picks_and_another_judges(project: Params) -> None:
    corpus = [text for part in ("train", "heldout") for text in pq.read_table(paths.CORPUS / f"{part}.parquet")["text"]]
    assert len(corpus) > 90 and not any(text.as_py().isascii() for text in corpus)

    logged: dict[str, float] = {}
    settings = variant_settings(project, "simcse")
    trained = train(project, settings, 0, Path("run"), lambda values, _: logged.update(values))
    assert {"sts/zh-sts-dev", "geometry/zh-sts-dev/alignment"} <= set(logged) and trained.steps == 2

    encode = encoder_of(load_model("run/encoder"))
    metrics, gold, cosines, patterns = measure(encode, project.evaluation, {}, {})
    assert list(gold) == list(cosines) == list(patterns) == ["zh-sts"] and gold["zh-sts"].max() == 5
    alone = evaluate_model(encode, ["zh-sts"], own=["zh-sts"])
    assert metrics["sts/zh-sts"] == metrics["sts/avg"] == pytest.approx(alone["zh-sts"], abs=0.01)


def test_training_sentences_in_a_task_of_ones_own_are_leakage(project: Params) -> None:
    report, _ = validate("sts", project)
    failed = {outcome["suite"] for outcome in report["expectations"] if not outcome["passed"]}
    assert failed == {"leakage"}
    assert {"zh-sts", "zh-sts-dev"} <= {outcome["suite"] for outcome in report["expectations"]}
