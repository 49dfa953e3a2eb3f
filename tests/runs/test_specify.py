"""What makes two runs the same: every leaf of params.yaml that reaches a run's numbers is in its specification."""

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from ruamel.yaml import YAML

from components.config import Params
from components.errors import ConfigError, DataError
from components.runs import specify as module
from components.runs.specify import specify
from components.training.job import Job
from tests.project import REPOSITORY

# What changes no fingerprint, and why. Whatever else stands in params.yaml does.
EXEMPT = {
    "profile": "what it lays over params.yaml is in the specification",
    "sources.corpus": "reaches a run in the data, whose digests are in the specification",
    "sources.llm": "likewise",
    "sources.*.license": "a text for people",
    "corpus": "likewise",
    "augmentation.views": "likewise",
    "synthesis": "likewise",
    "sets": "likewise",
    "dask": "who makes the data, which are the same bytes",
    "validation": "which data may be used, not what comes of them",
    "variants.*.description": "a text for people",
    "variants.*.published": "what it is held against, not what it comes to",
    "training.processes": "layout",
    "training.nodes": "layout",
    "training.rendezvous": "layout",
    "training.cache_rows": "layout",
    "tracking": "where results are recorded",
    "experiment": "which runs there are, not what a run is",
    "promotion": "what is done with results",
}
Keys = tuple[str | int, ...]
RAW: dict[str, Any] = YAML(typ="safe").load(REPOSITORY / "params.yaml")
COLUMNS = {"first": 1, "second": 5, "score": 9}
RAW["evaluation"]["tasks"] = {
    "mine": {"source": "stsb", "split": "test", "columns": COLUMNS, "scale": [1.0, 4.0]},
    "mine-dev": {"source": "stsb", "split": "dev", "columns": COLUMNS},
}
PARAMS = Params.model_validate(RAW)
# Values that a text may have in some place of params.yaml; one of them fits wherever a text is chosen from a few.
TEXTS = [*RAW["augmentation"]["views"], *RAW["sources"], "none", "always", "online", "cls", "fp32", "bf16", "sklearn"]
TEXTS += [
    "mine-dev",
    "anchor",
    "negative",
    "arccon",
    "info_nce",
    "tuples/sts",
    "a [X] is [MASK]",
    "https://localhost/x",
    "0" * 64,
]


def leaves(node: Any, at: Keys = ()) -> Iterator[Keys]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    if not isinstance(node, dict | list):
        yield at
    for key, value in items:
        yield from leaves(value, (*at, key))


def is_exempt(leaf: Keys) -> bool:
    steps = [str(key) for key in leaf]
    return any(
        all(wanted in ("*", step) for wanted, step in zip(name.split("."), steps, strict=False)) for name in EXEMPT
    )


@pytest.fixture(scope="module")
def _project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("locked")
    outs = []
    for split in ("train", "heldout"):
        for view in RAW["augmentation"]["views"]:
            outs.append(f"data/views/{split}/{view}")
            (folder / outs[-1]).mkdir(parents=True)
            columns = ["span_mask_near", "span_mask_far"] if view == "span_mask" else [view]
            pq.write_table(pa.table({name: [] for name in columns}), folder / outs[-1] / "part-00000.parquet")
    outs += [f"data/sts/{task}.parquet" for task in ("STSB", "STSB-dev", "STS12", "mine", "mine-dev")]
    outs += [
        "data/tuples/nli.parquet",
        "data/tuples/sts.parquet",
        "data/nli/train.parquet",
        "data/corpus/train.parquet",
    ]
    stage = {"outs": [{"path": path, "md5": f"md5 of {path}"} for path in outs]}
    (folder / "dvc.lock").write_text(json.dumps({"stages": {"all": stage}}))
    (folder / "data/sources").mkdir()
    for name in RAW["sources"]:
        (folder / f"data/sources/.{name}.json").write_text(f"what {name} is")
    return folder


@pytest.fixture(autouse=True)
def project(_project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose dvc.lock has all data that any variant reads, and whose sources have been fetched."""
    monkeypatch.chdir(_project)
    return _project


def fingerprints(params: Params, leaf: Keys = ()) -> list[str]:
    """Of the runs that `leaf` may change: those of its variant, or of two that read all other sections between them."""
    names = [str(leaf[1])] if leaf[:1] == ("variants",) else ["simcse", "simcse-sup"]
    return [specify(params, name).fingerprint for name in names]


def others(value: Any) -> list[Any]:
    """Values to try in the place of `value`."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value * 2, value + 1]
    if isinstance(value, float):
        return [value / 2, value + 0.5]
    return [*TEXTS, 7, 0.5, {}]


def flipped(leaf: Keys) -> Params:
    """params.yaml with another value at `leaf`, the first that it takes."""
    known = at(RAW, leaf)
    for value in others(known):
        raw = copy.deepcopy(RAW)
        place = at(raw, leaf[:-1])
        place[leaf[-1]] = value
        if leaf[-1] == "term":
            for own in ("margin_degrees", "hard_negative_weight"):  # which no other term has
                place.pop(own, None)
        try:
            params = Params.model_validate(raw)
        except (ValueError, ConfigError):
            continue
        if value != known:
            return params
    raise AssertionError(f"no other value fits {leaf}")


def at(node: Any, keys: Keys) -> Any:
    for key in keys:
        node = node[key]
    return node


# These go with the roles of their data, so that no other fits in their place.
BOUND = {"corpus", "tuples/sts", "entailment_triplet", "hierarchical_triplet"}
LEAVES = [leaf for leaf in leaves(RAW) if not is_exempt(leaf) and at(RAW, leaf) not in BOUND]


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: ".".join(map(str, leaf)))
def test_every_leaf_that_is_not_exempt_makes_another_run(leaf: Keys) -> None:
    changed = flipped(leaf)
    same = fingerprints(changed, leaf) == fingerprints(PARAMS, leaf)
    assert not same


def changed(**sections: dict[str, Any]) -> Params:
    raw = copy.deepcopy(RAW)
    for name, section in sections.items():
        raw[name] |= section
    return Params.model_validate(raw)


@pytest.mark.parametrize(
    "pin", [{"uri": "file:///other/"}, {"sha256": "0" * 64}, {"uri": "hf://datasets/senteval/mr@0123456/"}]
)
@pytest.mark.parametrize(
    "task",
    [
        {"transfer": {"MR": "mr"}},
        {"sts": {"STSB": "stsb", "STS12": "mr"}},
        {"tasks": {"mine": {"source": "mr", "columns": COLUMNS}}},
    ],
)
def test_another_source_of_a_task_makes_another_run(project: Path, task: dict[str, Any], pin: dict[str, str]) -> None:
    source = {"uri": "file:///senteval/", "sha256": None}
    (project / "data/sources/.mr.json").write_text("MR as fetched")
    first, other = (
        specify(changed(sources={"mr": source | each}, evaluation=task), "simcse").fingerprint for each in ({}, pin)
    )
    assert first != other


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("training", "drop_last"), False),
        (("variants", "ngcse-sts-ht", "data", 1), {"rows": None, "gather": 48}),
        (("variants", "ngcse-sts-ht", "data", 1), {"prompts": "first"}),
        (("variants", "ngcse-sts-ht", "data", 1), {"heldout": 0.2}),
    ],
)
def test_settings_that_params_yaml_leaves_at_their_defaults_make_another_run(keys: Keys, value: Any) -> None:
    raw = copy.deepcopy(RAW)
    place = at(raw, keys[:-1])
    place[keys[-1]] = place[keys[-1]] | value if isinstance(value, dict) else value
    other = specify(Params.model_validate(raw), "ngcse-sts-ht")
    assert other.fingerprint != specify(PARAMS, "ngcse-sts-ht").fingerprint


def test_the_seed_and_an_override_make_another_run() -> None:
    runs = [specify(PARAMS, "simcse"), specify(PARAMS, "simcse", 1), specify(PARAMS, "simcse", 0, {"epochs": 2})]
    assert len({run.fingerprint for run in runs}) == 3


@pytest.mark.parametrize("native", [True, False])
def test_auto_is_the_precision_of_the_host(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    host = "bf16" if native else "fp32"
    assert specify(changed(training={"precision": "auto"}), "simcse") == specify(
        changed(training={"precision": host}), "simcse"
    )
    assert specify(PARAMS, "simcse").training.precision == host


FOUND: dict[str, Callable[[Path, pytest.MonkeyPatch], object]] = {
    "other bytes of the base encoder": lambda folder, _: (folder / "data/sources/.encoder.json").write_text("other"),
    "other training data": lambda folder, _: relocked(folder, "data/views/heldout/identity"),
    "other evaluation data": lambda folder, _: relocked(folder, "data/sts/STSB-dev.parquet"),
    "another library": lambda _, patch: patch.setattr(module, "version", lambda name: "0"),
    "other code": lambda _, patch: patch.setattr(module, "code_digest", lambda: "0"),
}


def relocked(folder: Path, path: str) -> None:
    lock = folder / "dvc.lock"
    lock.write_text(lock.read_text().replace(f"md5 of {path}", "another"))


@pytest.fixture
def own(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, to be changed."""
    shutil.copytree(project, tmp_path / "own")
    monkeypatch.chdir(tmp_path / "own")
    return tmp_path / "own"


@pytest.mark.parametrize("change", FOUND)
def test_what_is_found_on_the_host_makes_another_run(own: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    before = specify(PARAMS, "simcse").fingerprint
    FOUND[change](own, monkeypatch)
    assert specify(PARAMS, "simcse").fingerprint != before


def test_data_that_the_variant_does_not_read_make_no_other_run(own: Path) -> None:
    before = specify(PARAMS, "simcse").fingerprint
    relocked(own, "data/tuples/sts.parquet")
    (own / "data/sources/.llm.json").write_text("other")
    assert specify(PARAMS, "simcse").fingerprint == before


def test_a_source_that_was_not_fetched_says_what_to_run(own: Path) -> None:
    (own / "data/sources/.encoder.json").unlink()
    with pytest.raises(DataError, match=r"data/sources/.encoder.json is missing: run dvc repro"):
        specify(PARAMS, "simcse")


@pytest.mark.parametrize("variant", RAW["variants"])
def test_processes_that_read_it_from_disk_are_given_the_same(tmp_path: Path, variant: str) -> None:
    layout = changed(training={"processes": 2}).training.layout
    job = Job(spec=specify(PARAMS, variant, 3), layout=layout)
    job.write(tmp_path)
    assert Job.read(tmp_path) == job


def test_the_reference_of_false_negatives_and_the_texts_it_reads_are_in_the_specification() -> None:
    raw = copy.deepcopy(RAW)
    raw["variants"]["simcse"]["false_negatives"] = {"reference": "llm", "margin": 0.1}
    plain, masked = (specify(Params.model_validate(each), "simcse") for each in (RAW, raw))
    assert masked.sources.keys() - plain.sources.keys() == {"llm"}
    assert masked.training_data.keys() - plain.training_data.keys() == {"data/corpus/train.parquet"}
    raw["variants"]["simcse"]["false_negatives"]["margin"] = 0.2
    assert specify(Params.model_validate(raw), "simcse").fingerprint != masked.fingerprint
