"""Profiles `paper` and `paper-roberta` from a hub on loopback to report and run, and back: tiny repositories in the
layouts of the real ones.
"""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from components.config import load_params, variant_settings
from components.training.run import train
from tests.e2e.conftest import Project, copied
from tests.encoder.architectures import checkpoint
from tests.project import sentences
from tests.sources.hub import HubServer, environment

pytestmark = pytest.mark.e2e
PAIRS = 40
TASKS = ("STS12", "STS13", "STS14", "STS15", "STS16", "STSB", "STSB-dev", "SICKR")
# What makes it small; all else is the profile's own.
SMALL = {
    "base": "as-shipped",
    "corpus": {"heldout": 0.1},
    "validation": {
        "corpus": {"min_rows": 100, "max_foreign": 1.0},
        "sts": {"rows": dict.fromkeys(TASKS, PAIRS), "max_leakage": 1.0},
        "sets": {"min_rows": 50, "max_foreign": 1.0, "max_leakage": 1.0},
    },
    "variants": {
        "simcse-sup": {"training": {"batch_size": 32, "epochs": 1, "evaluation_steps": 4}},
        "ngcse-sts-ht": {"training": {"batch_size": 64, "evaluation_steps": 20}},
        "esimcse": {"training": {"evaluation_steps": 4}},
    },
    "evaluation": {"geometry": {"samples": 30}},
    "experiment": {"variants": ["ngcse-sts-ht"], "seeds": [0]},
}


def scored(seed: int) -> list[dict[str, object]]:
    scores = np.random.default_rng(seed).integers(0, 6, PAIRS)
    scores[:2] = 0, 5
    texts = zip(sentences(PAIRS, seed), sentences(PAIRS, seed + 50), scores, strict=True)
    return [{"sentence1": a, "sentence2": a if score >= 4 else b, "score": float(score)} for a, b, score in texts]


def json_lines(records: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def parquet(records: list[dict[str, object]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), out)
    return out.getvalue()


def senteval() -> bytes:
    good, bad = ([f"{text} {word}" for text in sentences(24, 90)] for word in ("good", "bad"))
    files = {
        f"{place}{kind}": lines
        for place, pair in CLASSES.items()
        for kind, lines in zip(pair, (good, bad), strict=True)
    }
    for split in ("train", "dev", "test"):
        files[f"SST/binary/sentiment-{split}"] = [f"{text}\t1" for text in good] + [f"{text}\t0" for text in bad]
    trec = [f"DESC:def {text}" for text in good] + [f"NUM:date {text}" for text in bad]
    files |= {"TREC/train_5500.label": trec, "TREC/TREC_10.label": trec}
    mrpc = ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"]
    mrpc += [f"1\t1\t2\t{text}\t{text}" for text in good] + [
        f"0\t1\t2\t{a}\t{b}" for a, b in zip(good, bad[::-1], strict=True)
    ]
    files |= {f"MRPC/msr_paraphrase_{split}.txt": mrpc for split in ("train", "test")}
    sick = [
        f"{k}\t{row['sentence1']}\t{row['sentence2']}\t{1 + float(str(row['score'])) * 0.8}\tNEUTRAL"
        for k, row in enumerate(scored(8))
    ]
    files["SICK/SICK_test_annotated.txt"] = ["pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment", *sick]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, lines in files.items():
            content = "".join(f"{line}\n" for line in lines).encode()
            header = tarfile.TarInfo(f"./{name}")
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return out.getvalue()


CLASSES = {
    "MR/": ("rt-polarity.pos", "rt-polarity.neg"),
    "CR/": ("custrev.pos", "custrev.neg"),
    "SUBJ/": ("subj.objective", "subj.subjective"),
    "MPQA/": ("mpqa.pos", "mpqa.neg"),
}


@pytest.fixture(scope="module")
def hub(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    corpus, others, more = sentences(400, 0), sentences(80, 7), sentences(80, 11)
    triplets = zip(sentences(300, 17), sentences(300, 19), sentences(300, 23), strict=True)
    nli = "sent0,sent1,hard_neg\n" + "".join(f"{a},{a} {b},{c}\n" for a, b, c in triplets)
    graded = [
        {"sentence": a, "5": f"{b} {a}", "4": f"{a} {c}", "3": c, "2": "", "split": "aigen"}
        for a, b, c in zip(others, corpus, more, strict=False)
    ]
    plain = [{"sentence": a, "5": "", "4": "", "3": "", "2": "", "split": "other"} for a in corpus[:20]]
    models = {
        "models/google-bert/bert-base-uncased": tiny_encoder.parent / "transformer",
        "models/FacebookAI/roberta-base": checkpoint("roberta", tmp_path_factory.mktemp("roberta")),
    }
    repositories: dict[str, dict[str, bytes]] = {
        name: {path.name: path.read_bytes() for path in folder.iterdir()} | {"pytorch_model.bin": b"pickle"}
        for name, folder in models.items()
    } | {
        "datasets/princeton-nlp/datasets-for-simcse": {
            "wiki1m_for_simcse.txt": ("\n".join(corpus) + "\n").encode(),
            "nli_for_simcse.csv": nli.encode(),
            "senteval.tar": senteval(),
        },
        "datasets/H34lthy/NGCSE_hybrid_dataset": {"wiki_sts.jsonl": json_lines(plain + graded)},
        "datasets/mteb/stsbenchmark-sts": {
            f"{split}.jsonl.gz": gzip.compress(json_lines(scored(seed)))
            for seed, split in enumerate(("train", "validation", "test"))
        },
    }
    for year in range(12, 17):
        form = {"data/test-00000-of-00001.parquet": parquet(scored(year))}
        if year == 12:
            form = {"test.jsonl.gz": gzip.compress(json_lines(scored(year)))}
        repositories[f"datasets/mteb/sts{year}-sts"] = form
    with HubServer(repositories) as server:
        yield server


@pytest.fixture(scope="module")
def hosted(hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which the hub is that of the tests."""
    return environment(hub.url, str(tmp_path_factory.mktemp("hub")))


@pytest.fixture(scope="module")
def paper(made: Project, hosted: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with its embedded data, all committed, then `dvc exp run -S profile=paper`."""
    project = copied(made, tmp_path_factory.mktemp("paper") / "project")
    profiles = project.folder / "profiles"
    (profiles / "paper.yaml").rename(profiles / "as-shipped.yaml")
    YAML().dump(SMALL, profiles / "paper.yaml")
    commit = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "embedded")
    for command in (("dvc", "repro", "-q"), ("git", "add", "-A"), commit, ("dvc", "exp", "run", "-S", "profile=paper")):
        succeed(project, *command, **hosted)
    return project


def succeed(project: Project, *command: str, **environment: str) -> str:
    done = project.run(*command, **environment)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def trained(paper: Project) -> Project:
    """The profile's experiment, run in a copy of `paper`."""
    project = copied(paper, paper.folder.parent / "trained")
    succeed(project, "cseflow", "experiment")
    return project


def test_the_papers_experiment_runs_to_its_report(trained: Project) -> None:
    (page,) = trained.folder.glob("reports/experiment-*/index.html")
    named = ("ngcse-sts-ht", "SICKR", "Beside the papers", "transfer_bars")
    assert all(name in page.read_text() for name in named)


def test_others_tuples_are_in_the_lineage_and_no_llm_was_asked(trained: Project) -> None:
    (journal,) = trained.folder.glob("runs/ngcse-sts-ht-seed0-*/journal.jsonl")
    start = json.loads(journal.read_text().splitlines()[0])
    assert "data/sets/ngcse-final.parquet" in {each["source"] for each in start["datasets"]}
    assert start["tags"]["cse.validation.sets"] == "passed"
    assert pq.read_table(trained.folder / "data/tuples/sts.parquet").num_rows == 0


def test_the_papers_roberta_is_trained(
    paper: Project, hosted: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copied(paper, tmp_path / "project")
    succeed(project, "dvc", "exp", "run", "-S", "profile=paper-roberta", "views", "sets", **hosted)
    monkeypatch.chdir(project.folder)
    params = load_params()
    for variant in ("esimcse", "simcse-sup"):
        train(params, variant_settings(params, variant), 0, Path(variant), lambda values, step: None)
        config = json.loads(Path(variant, "encoder/config.json").read_text())
        assert (variant, config["model_type"]) == (variant, "roberta")


def test_going_back_takes_params_and_lock(paper: Project, tmp_path: Path) -> None:
    project = copied(paper, tmp_path / "project")
    succeed(project, "git", "checkout", "-q", "params.yaml", "dvc.lock")
    succeed(project, "dvc", "checkout", "-q")
    assert "up to date" in succeed(project, "dvc", "status")
