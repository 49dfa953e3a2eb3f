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
    "LoRA over frozen layers": (
        set_at("encoder", to={"lora": {}, "frozen_layers": 0}),
        r"encoder: frozen_layers must be null beside lora",
    ),
    "LoRA of no rank": (set_at("encoder", "lora", to={"rank": 0}), r"encoder.lora.rank: .*greater than 0 \(got 0\)"),
    "LoRA without targets": (
        set_at("encoder", "lora", to={"targets": []}),
        r"encoder.lora.targets: .* at least 1 item",
    ),
    "LoRA apart with layers mixed": (
        set_at("encoder", to={"lora": {"merge": False}, "pooling": "last_two_mean"}),
        r"encoder: lora.merge must be true with pooling last_two_mean",
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
        r"variants.simcse.data.0.roles.positive: no view named 'token_shufle' \(did you mean 'token_shuffle'\?\)",
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
    "unknown source": (
        set_at("evaluation", "sts", "STSB", to="stsbench"),
        r"evaluation.sts.STSB: no source named 'stsbench' \(did you mean 'stsb'\?\)",
    ),
    "unknown source of a task": (
        set_at("evaluation", "tasks", to={"m": {"source": "stbs", "columns": {"first": 1, "second": 2, "score": 3}}}),
        r"evaluation.tasks.m.source: no source named 'stbs' \(did you mean 'stsb'\?\)",
    ),
    "unknown dev task": (
        set_at("evaluation", "dev", to="STSB"),
        r"evaluation: dev: STSB is judged on; dev picks and test judges",
    ),
    "published figure of an unknown task": (
        set_at("variants", "simcse", "published", to={"source": "A paper", "sts": {"STSBB": 80.0}}),
        r"variants.simcse.published.sts: no STS task named 'STSBB' \(did you mean 'STSB'\?\)",
    ),
    "bad hash": (set_at("sources", "corpus", "sha256", to="abc"), r"sources.corpus.sha256: .*\(got 'abc'\)"),
    "unknown source of a variant": (
        set_at("variants", "simcse", "encoder", to={"source": "roberta"}),
        r"variants.simcse.encoder.source: no source named 'roberta'",
    ),
    "unknown source of synthesis": (
        set_at("synthesis", "local", "source", to="llama"),
        r"synthesis.local.source: no source named 'llama'",
    ),
    "set of others that is nowhere": (
        set_at("variants", "ngcse-sts", "data", 1, "set", to="sets/mine"),
        r"variants.ngcse-sts.data.1.set: no set named 'sets/mine'",
    ),
    "set without an anchor": (
        set_at("sets", "mine", to={"source": "stsb", "columns": {"positive": "a"}}),
        r"sets.mine.columns.anchor: field required",
    ),
    "set of an unknown source": (
        set_at("sets", "mine", to={"source": "stbs", "columns": {"anchor": "a", "positive": "b"}}),
        r"sets.mine.source: no source named 'stbs' \(did you mean 'stsb'\?\)",
    ),
    "set mined by an unknown source": (
        set_at(
            "sets",
            "mine",
            to={"source": "stsb", "columns": {"anchor": "a", "positive": "b"}, "mine": {"encoder": "encodr"}},
        ),
        r"sets.mine.mine.encoder: no source named 'encodr' \(did you mean 'encoder'\?\)",
    ),
    "several negatives that a set lacks": (
        set_at(
            "variants",
            "simcse-sup",
            "data",
            0,
            "roles",
            to={"anchor": "anchor", "positive": "positive", "negatives": ["negative", "negative_2"]},
        ),
        r"variants.simcse-sup.data.0.roles.negatives: no column of tuples/nli named 'negative_2'",
    ),
    "negatives told twice": (
        set_at("variants", "simcse-sup", "data", 0, "roles", "negatives", to=["negative"]),
        r"variants.simcse-sup.data.0.roles: negative and negatives are two ways",
    ),
    "unknown reference of false negatives": (
        set_at("variants", "simcse", "false_negatives", to={"reference": "guide"}),
        r"variants.simcse.false_negatives.reference: no source named 'guide'",
    ),
    "unknown tuples": (
        set_at("variants", "ngcse-sts", "data", 1, "set", to="tuples/stss"),
        r"variants.ngcse-sts.data.1.set: no set of tuples named 'tuples/stss' \(did you mean 'tuples/sts'\?\)",
    ),
    "triplets without their source": (
        set_at("variants", "simcse-sup", "data", 0, "set", to="nli"),
        r"variants.simcse-sup.data.0.set: no source named 'nli'",
    ),
    "unknown column of tuples": (
        set_at("variants", "simcse-sup", "data", 0, "roles", "negative", to="intermediate"),
        r"variants.simcse-sup.data.0.roles.negative: no column of tuples/nli named 'intermediate'",
    ),
    "unknown key for a variant's training": (
        set_at("variants", "simcse", "training", to={"batchsize": 8}),
        r"variants.simcse.training: batchsize: unknown key \(did you mean 'batch_size'\?\)",
    ),
    "impossible value for a variant's encoder": (
        set_at("variants", "simcse", "encoder", to={"max_length": 1}),
        r"variants.simcse.encoder: max_length: .*\(got 1\)",
    ),
    "unknown metric": (
        set_at("promotion", "rules", 0, "metric", to="sts/STSBB"),
        r"promotion.rules.0.metric: no metric named 'sts/STSBB' \(did you mean 'sts/STSB'\?\)",
    ),
    "metric of a task that is not measured": (
        set_at("promotion", "rules", 0, "metric", to="transfer/MR"),
        r"promotion.rules.0.metric: no metric named 'transfer/MR'",
    ),
    "model with a slash": (
        set_at("promotion", "model", to="my-team/cse-encoder"),
        r"promotion.model: MLflow registers no model named 'my-team/cse-encoder': leave out /, : and @",
    ),
    "blank model": (set_at("promotion", "model", to=" "), r"promotion.model: ' ' is no name for MLflow"),
    "empty experiment": (set_at("tracking", "experiment", to=""), r"tracking.experiment: '' is no name for MLflow"),
    "long experiment": (set_at("tracking", "experiment", to="x" * 501), r"tracking.experiment: 'x+' is no name"),
    "negative seed": (set_at("seed", to=-1), r"seed: .*greater than or equal to 0 \(got -1\)"),
    "seed of 33 bits": (set_at("seed", to=2**32), r"seed: .*less than 4294967296 \(got 4294967296\)"),
    "seed of 71 bits": (set_at("experiment", "seeds", to=[0, 2**70]), r"experiment.seeds.1: .*less than 4294967296"),
    "number for a name": (
        lambda params: params["variants"].update({2024: params["variants"]["simcse"]}),
        r"variants.2024: YAML reads the name 2024 as a value: put it in quotes",
    ),
    "profile elsewhere": (set_at("profile", to="../params"), r"profile: '../params' is none of embedded"),
    "list for a profile": (set_at("profile", to=["embedded"]), r"profile: \['embedded'\] is none of embedded"),
    "unknown profile": (set_at("profile", to="papr"), r"profile: 'papr' is none of embedded"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_that_names_the_key(tmp_path: Path, mistake: str) -> None:
    change, expected = MISTAKES[mistake]
    path = project(tmp_path, change)
    with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: {expected}") as raised:
        load_params(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["../x", "", "a/b", "a\nb", "x" * 300, ".hidden", "two words", "%2F"])
@pytest.mark.parametrize("section", [("variants",), ("sources",), ("augmentation", "views")])
def test_a_name_that_is_no_name_is_refused(tmp_path: Path, section: tuple[str, ...], name: str) -> None:
    def change(params: dict[str, Any]) -> None:
        place = params
        for key in section:
            place = place[key]
        place[name] = next(iter(place.values()))

    with pytest.raises(ConfigError, match=re.escape(".".join(section)) + r"\..* is no name: use up to 64 of") as raised:
        load_params(project(tmp_path, change))
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 700


def deep(levels: int) -> bytes:
    return b"a: " + b"[" * levels + b"]" * levels


BOMB = "\n".join(["a0: &a0 [x, x]", *(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 10))])
CHAIN = "\n".join(["a0: &a0 [x]", *(f"a{k}: &a{k} [*a{k - 1}]" for k in range(1, 3000))])
FILES: dict[str, tuple[bytes, str]] = {
    "torn": (b"training: {", r"is no valid YAML: line \d: "),
    "duplicate key": (b"a: 1\na: 2\n", r"is no valid YAML: line 2: found duplicate key"),
    "list": (b"- a list\n", "must hold a mapping"),
    "tag": (b"a: !!python/object/apply:os.getcwd []\n", r"is no valid YAML: line 1: could not determine a constructor"),
    "impossible date": (b"a: 2024-13-45\n", "is no valid YAML: .*month"),
    "NUL": (b"a: \0\n", "is no valid YAML"),
    "Latin-1": ("a: é\n".encode("latin-1"), "is not UTF-8: byte 3 can't be read"),
    "UTF-16": ("a: é\n".encode("utf-16"), "is not UTF-8: byte 0"),
    "deep": (deep(1000), "line 1 is nested more than 32 levels deep"),
    "deeper than C's stack": (deep(200_000), "line 1 is nested more than 32 levels deep"),
    "aliases of 10^9 values": (BOMB.encode(), "stands for more than 100,000 values"),
    "aliases of aliases": (CHAIN.encode(), "is nested more than 32 levels deep|stands for more than"),
    "holds itself": (b"a: &a [*a]\n", "stands for more than 100,000 values"),
}


@pytest.mark.parametrize("fault", FILES)
@pytest.mark.parametrize("name", ["params.yaml", "profiles/embedded.yaml"])
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, fault: str, name: str) -> None:
    content, expected = FILES[fault]
    project(tmp_path, lambda params: None)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=rf"{name}.*({expected})") as raised:
        load_params(tmp_path / "params.yaml")
    assert "\n" not in str(raised.value)


def test_a_folder_for_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"params.yaml can't be read: Is a directory"):
        load_params(tmp_path / "params.yaml")


def test_a_link_to_itself_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").symlink_to("params.yaml")
    with pytest.raises(ConfigError, match=r"params.yaml can't be read: Too many levels of symbolic links"):
        load_params(tmp_path / "params.yaml")


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"params.yaml is missing: change to a project's folder, or begin one: clone"):
        load_params(tmp_path / "params.yaml")


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
    "no row left": (
        set_at("training", "batch_size", to=16),
        "ngcse-sts",
        r"variants.ngcse-sts.data: its parts ask for 16 rows, which leaves none of the batch of 16",
    ),
    "rows that nobody takes": (
        set_at("variants", "ngcse-sts", "data", 0, "rows", to=16),
        "ngcse-sts",
        r"variants.ngcse-sts.data: its parts give 32 rows of the batch of 64, and none takes the rest",
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


def test_a_profile_lies_over_its_base(tmp_path: Path) -> None:
    profiles = {"under": {"seed": 7, "training": {"epochs": 3}}, "over": {"base": "under", "training": {"epochs": 5}}}
    params = load_params(project(tmp_path, set_at("profile", to="over"), **profiles))
    assert (params.seed, params.training.epochs) == (7, 5)


def test_a_profile_that_is_its_own_base_is_refused(tmp_path: Path) -> None:
    path = project(tmp_path, set_at("profile", to="a"), a={"base": "b"}, b={"base": "a"})
    with pytest.raises(ConfigError, match=r"b.yaml: base: a → b → a goes round"):
        load_params(path)
