"""`--set KEY=VALUE`: what it replaces, and the one sentence for each mistake."""

from pathlib import Path
from typing import Any

import pytest

from components.config import load_params, variant_settings
from components.config.command import command_params
from components.errors import ConfigError
from tests.project import REPOSITORY

MISTAKES = {
    "no value": ("training.epochs", r"'training.epochs' sets no key: write KEY=VALUE"),
    "no YAML": ("training.epochs={", r"training.epochs is no valid YAML: line "),
    "unknown key": ("training.epoch=1", r"training.epoch: unknown key \(did you mean 'epochs'\?\)"),
    "type": ("training.epochs=one", r"training.epochs: .*valid integer.* \(got 'one'\)"),
    "range": ("training.learning_rate=-1", r"training.learning_rate: .*greater than 0 \(got -1\)"),
    "variant": ("variants.simcze.momentum=null", r"no variant named 'simcze' \(did you mean 'simcse'\?\)"),
    "place": ("variants.simcse.objective.1.weight=1", r"variants.simcse.objective is a list of 1, which has no '1'"),
    "leaf": ("seed.x=1", r"seed is 0, which holds no key 'x'"),
    "profile": ("profile=papers", r"'papers' is none of embedded"),
}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("training.learning_rate=3e-5", "training.learning_rate", 3e-5),
        ("variants.simcse.objective.0.temperature=0.1", "variants.simcse.objective.0.temperature", 0.1),
        ("variants.simcse.training.epochs=2", "variants.simcse.training", {"epochs": 2}),
        ("variants.esimcse.momentum=null", "variants.esimcse.momentum", None),
        ("experiment.seeds=[1, 2]", "experiment.seeds", [1, 2]),
        ("profile=paper", "profile", "paper"),
    ],
)
def test_a_key_is_replaced(text: str, path: str, value: Any) -> None:
    found: Any = load_params(settings=[text])
    for step in path.split("."):
        found = (
            found[int(step)]
            if isinstance(found, list)
            else found[step]
            if isinstance(found, dict)
            else getattr(found, step)
        )
    assert found == value


@pytest.mark.parametrize(("text", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence_that_names_the_key(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        load_params(settings=[text])
    assert "\n" not in str(raised.value)


def test_a_value_shared_by_an_alias_changes_in_one_place(tmp_path: Path) -> None:
    text = (REPOSITORY / "params.yaml").read_text()
    text = text.replace("- {term: info_nce, temperature: 0.05}", "- &nce {term: info_nce, temperature: 0.05}", 1)
    (tmp_path / "params.yaml").write_text(text.replace("- {term: info_nce, temperature: 0.05}", "- *nce"))
    (tmp_path / "profiles").symlink_to(REPOSITORY / "profiles")
    params = load_params(tmp_path / "params.yaml", settings=["variants.esimcse.objective.0.temperature=0.1"])
    found = [getattr(params.variants[name].objective[0], "temperature", None) for name in ("simcse", "esimcse")]
    assert found == [0.05, 0.1]


def test_each_variant_of_the_command_has_the_key() -> None:
    done = command_params(["simcse", "arccse"], ["variants.*.objective.0.temperature=0.1"])
    assert done.settings == [f"variants.{name}.objective.0.temperature=0.1" for name in ("simcse", "arccse")]


def test_a_key_that_the_variant_overrides_is_refused_with_the_key_to_set() -> None:
    said = "training.epochs has no effect on simcse-sup: .*; set variants.simcse-sup.training.epochs"
    with pytest.raises(ConfigError, match=said):
        command_params(["simcse-sup"], ["training.epochs=1"])


def test_a_key_that_one_variant_overrides_is_for_the_others() -> None:
    params = command_params(["simcse-sup", "simcse"], ["training.epochs=3"]).params
    assert [variant_settings(params, name).training.epochs for name in ("simcse-sup", "simcse")] == [8, 3]
