"""params.yaml and its profiles: what is merged, and the one sentence for each mistake."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.config import load_params, variant_settings
from components.errors import ConfigError
from tests.project import REPOSITORY

PROFILES = sorted((REPOSITORY / "profiles").glob("*.yaml"))
Change = Callable[[dict[str, Any]], object]


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(path)
    return content


def project(folder: Path, change: Change, **profiles: dict[str, Any]) -> Path:
    """A params.yaml like the repository's after `change`, with `profiles` beside it."""
    params = read(REPOSITORY / "params.yaml")
    change(params)
    (folder / "profiles").mkdir()
    profiles.setdefault("embedded", {})
    for name, overlay in profiles.items():
        YAML().dump(overlay, folder / "profiles" / f"{name}.yaml")
    YAML().dump(params, folder / "params.yaml")
    return folder / "params.yaml"


def set_at(*keys: Any, to: Any) -> Change:
    def change(params: dict[str, Any]) -> None:
        place: Any = params
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return change


MISTAKES = {
    "unknown section": (set_at("trainin", to={}), r"trainin: unknown key \(did you mean 'training'\?\)"),
    "unknown key": (
        set_at("training", "batchsize", to=8),
        r"training.batchsize: unknown key \(did you mean 'batch_size'\?\)",
    ),
    "unknown key in a list": (
        set_at("variants", "simcse", "objective", 0, "temprature", to=0.1),
        r"variants.simcse.objective.0.info_nce.temprature: unknown key",
    ),
    "missing key": (lambda params: params["training"].pop("learning_rate"), r"training.learning_rate: field required"),
    "text for a number": (set_at("training", "epochs", to="one"), r"training.epochs: .*valid integer \(got 'one'\)"),
    "fraction for a count": (
        set_at("training", "batch_size", to=6.5),
        r"training.batch_size: .* integer.* \(got 6.5\)",
    ),
    "negative rate": (
        set_at("training", "learning_rate", to=-1.0),
        r"training.learning_rate: .*greater than 0 \(got -1.0\)",
    ),
    "not a number": (set_at("training", "learning_rate", to=float("nan")), r"training.learning_rate: .*\(got nan\)"),
    "unknown pooling": (
        set_at("encoder", "pooling", to="max"),
        r"encoder.pooling: .*'first_last_mean'.* \(got 'max'\)",
    ),
    "template without mask": (set_at("encoder", "templates", to=["[X] ."]), r"encoder: template '\[X\] .' must hold"),
    "mask before the sentence": (
        set_at("encoder", "templates", to=["[MASK] [X]"]),
        r"encoder: template '\[MASK\] \[X\]' must hold \[MASK\] after \[X\]",
    ),
    "masks not nested": (
        set_at("augmentation", "views", "span_mask", "near", to=0.5),
        r"augmentation.views.span_mask.span_mask: near \(0.5\) must be below far \(0.4\)",
    ),
    "second identity": (
        set_at("augmentation", "views", "again", to={"kind": "identity"}),
        r"augmentation: views needs exactly one of kind identity",
    ),
    "unknown view": (
        set_at("variants", "simcse", "data", 0, "roles", "positive", to="token_shufle"),
        r"variants.simcse: no view named 'token_shufle' \(did you mean 'token_shuffle'\?\)",
    ),
    "triplet without its roles": (
        lambda params: params["variants"]["simcse"]["objective"].append({"term": "entailment_triplet"}),
        r"variants.simcse: objective term entailment_triplet needs a part of data with its roles",
    ),
    "roles without their term": (
        lambda params: params["variants"]["arccse"]["objective"].pop(),
        r"variants.arccse: data has roles for entailment_triplet, which is no term of the objective",
    ),
    "near without far": (
        lambda params: params["variants"]["arccse"]["data"][0]["roles"].pop("far"),
        r"variants.arccse.data.0.roles: near and far go together",
    ),
    "too few margins": (
        set_at("variants", "ngcse-sts-ht", "objective", 1, "margins", to=[0.005]),
        r"variants.ngcse-sts-ht: hierarchical_triplet needs one margin fewer than there are levels",
    ),
    "unknown variant": (
        set_at("experiment", "variants", to=["untrained", "simsce"]),
        r"experiment.variants: no variant named 'simsce' \(did you mean 'simcse'\?\)",
    ),
    "unknown reference": (
        set_at("experiment", "reference", to="untraind"),
        r"experiment.reference: no variant named 'untraind' \(did you mean 'untrained'\?\)",
    ),
    "unknown source": (set_at("evaluation", "sts", "STSB", to="stsbench"), r"sources: no entry 'stsbench'"),
    "bad hash": (set_at("sources", "corpus", "sha256", to="abc"), r"sources.corpus.sha256: .*\(got 'abc'\)"),
    "unknown profile": (set_at("profile", to="papr"), r"profile: 'papr' is none of embedded"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_that_names_the_key(tmp_path: Path, mistake: str) -> None:
    change, expected = MISTAKES[mistake]
    path = project(tmp_path, change)
    with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: {expected}") as raised:
        load_params(path)
    assert "\n" not in str(raised.value)


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"params.yaml is missing; run from the repository's root"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("text", ["training: {", "a: 1\na: 2\n", "- a list\n"])
def test_a_file_that_is_no_mapping_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"params.yaml (is no valid YAML|must hold a mapping)") as raised:
        load_params(tmp_path / "params.yaml")
    assert "\n" not in str(raised.value)


def test_a_profile_lies_over_params_key_by_key(tmp_path: Path) -> None:
    plain = load_params(REPOSITORY / "params.yaml")
    overlay = {"training": {"batch_size": 128}, "experiment": {"seeds": [4, 5]}}
    path = project(tmp_path, lambda params: None, larger=overlay)
    larger = load_params(path, profile="larger")
    assert larger.model_dump() == plain.model_dump() | {
        "profile": "larger",
        "training": plain.training.model_dump() | {"batch_size": 128},
        "experiment": plain.experiment.model_dump() | {"seeds": [4, 5]},
    }


def test_the_profile_is_the_one_that_params_names(tmp_path: Path) -> None:
    path = project(tmp_path, set_at("profile", to="larger"), larger={"training": {"batch_size": 128}})
    assert load_params(path).training.batch_size == 128


@pytest.mark.parametrize("profile", [path.stem for path in PROFILES])
def test_every_profile_makes_whole_params(profile: str) -> None:
    assert load_params(REPOSITORY / "params.yaml", profile=profile).profile == profile


@pytest.mark.parametrize("path", PROFILES, ids=[path.stem for path in PROFILES])
def test_every_profile_names_the_sections_that_dvc_tracks(path: Path) -> None:
    assert read(REPOSITORY / "profiles" / "embedded.yaml").keys() <= read(path).keys()


@pytest.mark.parametrize("name", load_params(REPOSITORY / "params.yaml").variants)
def test_every_variant_has_settings(name: str) -> None:
    assert variant_settings(load_params(REPOSITORY / "params.yaml"), name).variant.description


def test_a_variant_overrides_single_keys(tmp_path: Path) -> None:
    path = project(tmp_path, set_at("variants", "simcse", "training", to={"batch_size": 32}))
    params = load_params(path)
    assert variant_settings(params, "simcse").training == params.training.model_copy(update={"batch_size": 32})


def test_overrides_win_over_the_variant(tmp_path: Path) -> None:
    path = project(tmp_path, set_at("variants", "simcse", "training", to={"batch_size": 32}))
    assert variant_settings(load_params(path), "simcse", {"batch_size": 16}).training.batch_size == 16


SETTINGS_MISTAKES = {
    "unknown override of a variant": (
        set_at("variants", "simcse", "training", to={"batchsize": 8}),
        "simcse",
        r"variants.simcse.training: batchsize: unknown key \(did you mean 'batch_size'\?\)",
    ),
    "impossible override of a variant": (
        set_at("variants", "simcse", "encoder", to={"max_length": 1}),
        "simcse",
        r"variants.simcse.encoder: max_length: .*\(got 1\)",
    ),
    "no row left": (
        set_at("training", "batch_size", to=16),
        "ngcse-sts",
        r"variants.ngcse-sts.data: its parts ask for 16 rows, which leaves none of the batch of 16",
    ),
    "unknown variant": (set_at("seed", to=0), "simces", r"no variant named 'simces' \(did you mean 'simcse'\?\)"),
}


@pytest.mark.parametrize("mistake", SETTINGS_MISTAKES)
def test_a_mistake_in_a_variant_is_one_sentence(tmp_path: Path, mistake: str) -> None:
    change, name, expected = SETTINGS_MISTAKES[mistake]
    path = project(tmp_path, change)
    with pytest.raises(ConfigError, match=expected) as raised:
        variant_settings(load_params(path), name)
    assert "\n" not in str(raised.value)
