"""Data that are not those of params.yaml are refused, in one sentence."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.config import load_params
from components.errors import DataError
from components.graph import plan
from components.graph.fresh import require_fresh, require_fresh_stages
from tests.graph.project import change, fetch, lay_out, lock

FILE = {"uri": "file:///elsewhere"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose data are all made, as the working folder."""
    lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    params = load_params()
    fetch(tmp_path, params)
    lock(tmp_path, params)
    return tmp_path


@pytest.mark.parametrize("variant", ["simcse", "arccse", "simcse-sup", "ngcse-sts-ht", "untrained"])
def test_data_of_these_parameters_pass(folder: Path, variant: str) -> None:
    require_fresh(load_params(), [variant])


@pytest.mark.parametrize(
    ("key", "value", "variant", "said"),
    [
        (
            "corpus.min_words",
            9,
            "simcse",
            "stage corpus made its data with corpus.min_words 5, which is 9 now: run dvc",
        ),
        ("corpus.min_words", 9, "simcse-sup", "stage corpus made its data with corpus.min_words 5"),
        ("augmentation.max_length", 16, "simcse", "stage views made its data with augmentation.max_length 32"),
        ("synthesis.tuples.sts", 9, "ngcse-sts-ht", "stage synthesize@sts made its data with synthesis.tuples.sts 300"),
        (
            "validation.corpus.min_rows",
            5,
            "simcse",
            "stage validate@corpus made its data with validation.corpus.min_rows",
        ),
        ("sources.encoder", FILE, "simcse", "sources.encoder in params.yaml is not what was fetched: run dvc repro"),
        ("sources.llm", FILE, "ngcse-sts", "sources.llm in params.yaml is not what was fetched"),
        ("profile", "paper", "simcse", "stage sts made its data with evaluation.sts.SICKR null, which is"),
    ],
)
def test_data_of_other_parameters_are_refused(folder: Path, key: str, value: Any, variant: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        require_fresh(change(folder, key, value), [variant])


@pytest.mark.parametrize(
    ("key", "value", "variant"),
    [
        ("corpus.min_words", 9, "none"),
        ("synthesis.tuples.nli", 9, "simcse"),
        ("synthesis.tuples.nli", 9, "ngcse-sts"),
        ("sources.llm", FILE, "simcse"),
        ("training.learning_rate", 1e-4, "simcse"),
        ("experiment.variants", ["simcse", "esimcse"], "ngcse-sts-ht"),
    ],
)
def test_what_a_variant_does_not_train_on_is_no_matter(folder: Path, key: str, value: Any, variant: str) -> None:
    params = change(folder, key, value)
    require_fresh(params, [] if variant == "none" else [variant])


def test_data_that_nobody_had_asked_for_are_named(folder: Path) -> None:
    params = change(folder, "experiment.variants", ["simcse"])
    lock(folder, params)
    require_fresh(params, ["simcse", "arccse"])
    with pytest.raises(DataError, match=r"synthesize@sts has not made what ngcse-sts trains on.*add ngcse-sts there"):
        require_fresh(params, ["simcse", "ngcse-sts"])


def test_a_variants_own_encoder_wants_its_own_views(folder: Path) -> None:
    change(folder, "sources.other", FILE)
    params = change(folder, "variants.simcse.encoder", {"source": "other"})
    own = params.model_copy(update={"experiment": params.experiment.model_copy(update={"variants": ["esimcse"]})})
    lock(folder, own)
    with pytest.raises(DataError, match="stage views has not made what simcse trains on"):
        require_fresh(own, ["simcse"])


def test_code_that_has_changed_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = plan.code_digests
    monkeypatch.setattr(plan, "code_digests", lambda *a: real(*a) | {"components/corpus/cleaning.py": "another"})
    with pytest.raises(
        DataError, match=r"by code that has changed since, in components/corpus/cleaning.py: run dvc repro"
    ):
        require_fresh(load_params(), ["simcse"])


def edited(folder: Path, stage: str, kind: str, path: str) -> None:
    """Give a file another md5 in dvc.lock."""
    yaml = YAML()
    locked = yaml.load(folder / "dvc.lock")
    (entry,) = (each for each in locked["stages"][stage][kind] if each["path"] == path)
    entry["md5"] = "0" * 32
    yaml.dump(locked, folder / "dvc.lock")


def test_a_lock_of_two_halves_is_refused(folder: Path) -> None:
    edited(folder, "corpus", "outs", "data/corpus/train.parquet")
    said = "stage views has read another data/corpus/train.parquet than stage corpus has made: run dvc repro"
    with pytest.raises(DataError, match=said):
        require_fresh(load_params(), ["simcse"])


def test_another_content_of_a_source_is_refused(folder: Path) -> None:
    edited(folder, "sts", "deps", "data/fetched/sts.json")
    with pytest.raises(DataError, match="stage sts has read another content of stsb: run dvc repro"):
        require_fresh_stages(load_params(), ["sts"])


def test_a_stage_that_never_ran_is_named(folder: Path) -> None:
    yaml = YAML()
    locked = yaml.load(folder / "dvc.lock")
    del locked["stages"]["views"]
    yaml.dump(locked, folder / "dvc.lock")
    with pytest.raises(DataError, match="stage views has not made its data yet: run dvc repro"):
        require_fresh(load_params(), ["simcse"])


def test_data_of_another_lock_are_refused(folder: Path) -> None:
    report = folder / "data/validation/sts.json"
    report.parent.mkdir()
    report.write_text("a report on other data")
    said = "data/validation/sts.json is not the one that dvc.lock has.* run dvc checkout"
    with pytest.raises(DataError, match=said):
        require_fresh(load_params(), ["simcse"])


def test_a_project_without_a_lock_has_no_data(folder: Path) -> None:
    (folder / "dvc.lock").unlink()
    with pytest.raises(DataError, match=r"dvc.lock is missing: run dvc repro"):
        require_fresh(load_params(), ["simcse"])


def test_a_folder_without_dvc_is_asked_nothing(folder: Path) -> None:
    for name in ("dvc.yaml", "dvc.lock"):
        (folder / name).unlink()
    require_fresh(load_params(), ["simcse"])
