"""A project's parameters and sources, without data: what plans and dvc.lock are made of."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from components.config import Params, load_params
from components.graph.plan import STAGES, Demand, plan_file, plan_of, plan_text
from components.graph.receipts import receipt_file, receipt_text
from tests.project import REPOSITORY

# Of dvc.yaml: what each stage reads of others' data, and what it makes.
DATA = {
    "corpus": ([], ["data/corpus/train.parquet", "data/corpus/heldout.parquet"]),
    "sts": ([], ["data/sts"]),
    "nli": ([], ["data/nli"]),
    "sets": (["data/sts"], ["data/sets"]),
    **{
        f"synthesize@{pattern}": (
            ["data/corpus/train.parquet", "data/nli", "data/sts"],
            [f"data/tuples/{pattern}.parquet"],
        )
        for pattern in ("nli", "sts")
    },
    "views": (["data/corpus/train.parquet", "data/corpus/heldout.parquet"], ["data/views"]),
    "validate@corpus": (["data/corpus/train.parquet"], ["data/validation/corpus.json"]),
    "validate@views": (["data/views"], ["data/validation/views.json"]),
    "validate@sts": (["data/sts"], ["data/validation/sts.json"]),
    "validate@nli": (["data/nli"], ["data/validation/nli.json"]),
    "validate@tuples": (["data/tuples", "data/sts"], ["data/validation/tuples.json"]),
    "validate@sets": (["data/sets", "data/sts"], ["data/validation/sets.json"]),
}


def lay_out(folder: Path) -> None:
    """params.yaml and profiles as they are shipped, and dvc.yaml."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(REPOSITORY / name, folder / name)
    shutil.copytree(REPOSITORY / "profiles", folder / "profiles")


def change(folder: Path, key: str, value: Any) -> Params:
    """Set a key of params.yaml, or with None remove it; the parameters that come of it."""
    yaml = YAML()
    path = folder / "params.yaml"
    params = yaml.load(path)
    section = params
    *outer, last = key.split(".")
    for step in outer:
        section = section[step]
    if value is None:
        del section[last]
    else:
        section[last] = value
    yaml.dump(params, path)
    return load_params(path)


def plans(params: Params) -> dict[str, dict[str, Any]]:
    """The settings of each stage's plan; nothing of its code."""
    demand = Demand.of(params)
    return {stage: plan_of(stage, params, demand).get("settings", {}) for stage in STAGES}


def fetch(folder: Path, params: Params) -> None:
    """The records that stage `fetch` leaves of the sources that are needed."""
    for name in Demand.of(params).sources(params):
        record = params.sources[name].model_dump() | {"path": "a", "files": {"a": f"content of {name}"}}
        path = folder / "data/sources" / f".{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record))


def lock(folder: Path, params: Params) -> None:
    """The plans, and a dvc.lock as `dvc repro` leaves it; to be called with `folder` as the working folder."""
    demand = Demand.of(params)
    stages: dict[str, Any] = {}
    for stage, (reads, makes) in DATA.items():
        text = plan_text(plan_of(stage, params, demand))
        plan_file(stage).parent.mkdir(parents=True, exist_ok=True)
        plan_file(stage).write_text(text)
        deps = {plan_file(stage).as_posix(): md5(text), **{path: md5(path) for path in reads}}
        if (reader := STAGES[stage].receipt) is not None:
            deps[receipt_file(reader).as_posix()] = md5(receipt_text(demand.receipts(params)[reader]))
        stages[stage] = {"deps": entries(deps), "outs": entries({path: md5(path) for path in makes})}
    YAML().dump({"schema": "2.0", "stages": stages}, folder / "dvc.lock")


def entries(files: dict[str, str]) -> list[dict[str, str]]:
    return [{"path": path, "md5": digest} for path, digest in files.items()]


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
