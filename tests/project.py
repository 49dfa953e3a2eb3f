"""A miniature project in a folder: tiny encoder, corpus, views, tuples and STS-B, made by the real components."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ruamel.yaml import YAML

from components import paths
from components.augmentation.shards import make_view
from components.config import Params, load_params
from components.files import file_digest
from components.sources.fetch import record_of

REPOSITORY = Path(__file__).parent.parent
SUBJECTS = [
    "the cat",
    "a dog",
    "the old king",
    "his queen",
    "one man",
    "the small child",
    "a red book",
    "the new house",
]
VERBS = ["was in", "is on", "ran to", "sat on", "saw", "made", "gave", "took"]
OBJECTS = ["the mat", "a house", "the river", "this city", "her water", "that fire", "the year 2", "two big cats"]


def sentences(count: int, seed: int) -> list[str]:
    """`count` distinct sentences of the tiny encoder's words."""
    generator = np.random.default_rng(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        draw = [generator.choice(words) for words in (SUBJECTS, VERBS, OBJECTS, SUBJECTS, VERBS, OBJECTS)]
        text = " ".join(draw[:3]) if generator.random() < 0.3 else f"{' '.join(draw[:3])} and {' '.join(draw[3:])}"
        found[text + " ."] = None
    return list(found)


def make_project(folder: Path, encoder: Path, **sections: dict) -> Path:
    """Lay out `folder` as a project; `sections` lie over the embedded params.yaml, key by key.

    Run with `folder` as the working folder afterwards: components find their data relative to it.
    """
    yaml = YAML()
    params = yaml.load(REPOSITORY / "params.yaml")
    params["training"] |= {"sentences": 64, "batch_size": 8, "evaluation_steps": 2, "learning_rate": 1e-3}
    params["evaluation"]["geometry"] |= {"samples": 40}
    for name, section in sections.items():
        params[name] |= section
    folder.mkdir(parents=True, exist_ok=True)
    yaml.dump(params, folder / "params.yaml")
    shutil.copytree(REPOSITORY / "profiles", folder / "profiles")
    shutil.copytree(encoder, folder / paths.SOURCES / "encoder")
    _corpus(folder / paths.CORPUS / "train.parquet", sentences(120, 0), first=0)
    _corpus(folder / paths.CORPUS / "heldout.parquet", sentences(60, 1), first=1000)
    loaded = load_params(folder / "params.yaml")
    for split in ("train", "heldout"):
        for view in sorted(loaded.augmentation.views, key=lambda name: name != "identity"):
            make_view(
                view,
                loaded,
                corpus=folder / paths.CORPUS / f"{split}.parquet",
                sources=folder / paths.SOURCES,
                views=folder / paths.VIEWS / split,
            )
    for task, seed in (("STSB", 2), ("STSB-dev", 3)):
        _pairs(folder / paths.STS / f"{task}.parquet", seed)
    for name in ("nli", "sts"):
        _tuples(folder / paths.TUPLES / f"{name}.parquet", with_intermediate=name == "sts")
    _lock(folder, loaded)
    return folder


def vouch(folder: Path) -> None:
    """What the stages `validate` would leave of data that pass: a report of every kind. `folder` is the working folder.

    With it, whole runs are made in the project: `Run.execute`, the flows, the command line.
    """
    for kind in ("corpus", "views", "sts", "tuples"):
        files = sorted(path.relative_to(folder) for path in (folder / paths.DATA / kind).rglob("*.parquet"))
        report = {"kind": kind, "passed": True, "data": {str(path): file_digest(path, "md5") for path in files}}
        path = folder / paths.VALIDATION / f"{kind}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report | {"expectations": []}))


def _lock(folder: Path, params: Params) -> None:
    """What `dvc repro` would leave: dvc.lock, and the record of each source."""
    for name in params.sources:
        record_of(folder / paths.SOURCES / name).write_text(f"what was fetched as {name}")
    outs = [
        *folder.glob(f"{paths.VIEWS}/*/*"),
        *(folder / paths.TUPLES).iterdir(),
        *(folder / paths.CORPUS).iterdir(),
        folder / paths.STS,
    ]
    locked = [{"path": str(out.relative_to(folder)), "md5": f"md5 of {out.name}"} for out in sorted(outs)]
    (folder / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"all": {"outs": locked}}}))


def _write(path: Path, columns: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def _corpus(path: Path, texts: list[str], first: int) -> None:
    _write(path, {"id": list(range(first, first + len(texts))), "text": texts, "page": ["A page"] * len(texts)})


def _pairs(path: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    firsts, seconds, scores = sentences(80, seed), sentences(80, seed + 100), generator.integers(0, 6, 80)
    pairs = [first if score >= 4 else second for first, second, score in zip(firsts, seconds, scores, strict=True)]
    _write(path, {"first": firsts, "second": pairs, "score": scores.astype(float)})


def _tuples(path: Path, *, with_intermediate: bool) -> None:
    anchors, others = sentences(60, 7), sentences(60, 8)
    shorter = [" ".join(text.split()[:4]) for text in anchors] if with_intermediate else [None] * 60
    _write(
        path,
        {
            "anchor": anchors,
            "positive": [f"{text} ." for text in anchors],
            "intermediate": pa.array(shorter, pa.string()),
            "negative": others,
            "provenance": ["test"] * 60,
        },
    )
