"""prefect.yaml and params.yaml name the same variants."""

import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from components.config import load_params
from components.errors import ConfigError
from flows.setup import check_variants, write_variants
from tests.project import REPOSITORY


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """params.yaml with a variant that prefect.yaml doesn't know yet, and without one that it does."""
    shutil.copytree(REPOSITORY / "profiles", tmp_path / "profiles")
    shutil.copy(REPOSITORY / "prefect.yaml", tmp_path)
    yaml = YAML()
    params = yaml.load(REPOSITORY / "params.yaml")
    params["variants"]["my-mix"] = {**params["variants"]["simcse"], "description": "what's mine: a mix"}
    del params["variants"]["cse-mix"]
    yaml.dump(params, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_repository_deploys_every_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    check_variants()


def test_variants_that_differ_are_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"behind params.yaml in cse-mix, my-mix: .* `cseflow deploy`"):
        check_variants()


def test_the_list_is_written_from_params(folder: Path) -> None:
    assert write_variants()
    check_variants()


def test_a_list_in_step_is_left_alone(folder: Path) -> None:
    write_variants()
    before = (folder / "prefect.yaml").stat()
    assert not write_variants() and (folder / "prefect.yaml").stat() == before


def test_what_is_not_the_list_stays_as_written(folder: Path) -> None:
    write_variants()
    old, new = (REPOSITORY / "prefect.yaml").read_text(), (folder / "prefect.yaml").read_text()
    assert new.partition("  # one for each variant")[0] == old.partition("  # one for each variant")[0]


ODD = {
    "2024": "a year",
    "null": "YAML's word for nothing",
    "1e3": "a number",
    "two-lines": "the first line\nand the second",
    "colon": "what: a mapping? 'no', # no comment",
    "other-signs": "\tтабуляция, \u2028 ein Zeilentrenner, \x7f und 🙂",
}


def test_odd_names_and_descriptions_are_listed_as_they_are(folder: Path) -> None:
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    for name, description in ODD.items():
        params["variants"][name] = {**params["variants"]["simcse"], "description": description}
    yaml.dump(params, folder / "params.yaml")
    assert load_params().variants["two-lines"].description == ODD["two-lines"]
    assert write_variants()
    check_variants()
