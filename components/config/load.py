"""params.yaml and the chosen profile, merged, checked and typed."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar, get_args

from pydantic import BaseModel, ValidationError, model_validator

from components.config.augmentation import Augmentation
from components.config.base import Name, Section, Seed
from components.config.corpus import Corpus
from components.config.dask import Dask
from components.config.encoder import Encoder
from components.config.evaluation import Evaluation, StsTask, metric_names
from components.config.experiment import Experiment, Tracking
from components.config.file import read_mapping
from components.config.names import meant
from components.config.promotion import Bounds, Floor, Promotion
from components.config.sets import TupleSet
from components.config.settings import parse_setting, with_settings
from components.config.sources import Source
from components.config.synthesis import Synthesis
from components.config.training import Training
from components.config.validation import Validation
from components.config.variants import Part, Variant
from components.errors import BEGIN, ConfigError

S = TypeVar("S", bound=Section)
PARAMS = Path("params.yaml")


class Params(Section):
    """The whole of params.yaml after the profile's overrides."""

    profile: str
    seed: Seed
    sources: dict[Name, Source]
    sets: dict[Name, TupleSet] = {}
    corpus: Corpus
    dask: Dask = Dask()
    augmentation: Augmentation
    synthesis: Synthesis
    validation: Validation
    encoder: Encoder
    variants: dict[Name, Variant]
    training: Training
    evaluation: Evaluation
    tracking: Tracking
    experiment: Experiment
    promotion: Promotion

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for name, tuples in self.sets.items():
            self._check_source(f"sets.{name}.source", tuples.source)
            if tuples.mine is not None:
                self._check_source(f"sets.{name}.mine.encoder", tuples.mine.encoder)
        for name, variant in self.variants.items():
            for place, part in enumerate(variant.data):
                self._check_part(f"variants.{name}.data.{place}", part)
            encoder = _overridden(self.encoder, variant.encoder, f"variants.{name}.encoder")
            self._check_source(f"variants.{name}.encoder.source", encoder.source)
            _overridden(self.training, variant.training, f"variants.{name}.training")
            if variant.false_negatives is not None:
                self._check_source(f"variants.{name}.false_negatives.reference", variant.false_negatives.reference)
        for name in self.experiment.variants:
            _check("experiment.variants", "variant", name, self.variants)
        _check("experiment.reference", "variant", self.experiment.reference, self.variants)
        self._check_source("encoder.source", self.encoder.source)
        for section in ("sts", "transfer"):
            for task, source in getattr(self.evaluation, section).items():
                self._check_source(f"evaluation.{section}.{task}", source)
        for name, table in self.evaluation.tasks.items():
            self._check_source(f"evaluation.tasks.{name}.source", table.source)
        for name, variant in self.variants.items():
            for task in variant.published.sts if variant.published else ():
                known = [*get_args(StsTask), *self.evaluation.tasks, "avg"]
                _check(f"variants.{name}.published.sts", "STS task", task, known)
        if self.synthesis.backend == "local":
            self._check_source("synthesis.local.source", self.synthesis.local.source)
        if self.synthesis.filters.cosine is not None:
            self._check_source("synthesis.filters.cosine", self.synthesis.filters.cosine)
        terms = {term.term for variant in self.variants.values() for term in variant.objective}
        names = metric_names(
            self.evaluation,
            terms,
            {"corpus"} | {part.set for variant in self.variants.values() for part in variant.data},
        )
        for place, rule in enumerate(self.promotion.rules):
            if isinstance(rule, Floor | Bounds):
                _check(f"promotion.rules.{place}.metric", "metric", rule.metric, names)
        return self

    def _check_part(self, where: str, part: Part) -> None:
        if part.set == "corpus":
            columns = set(self.augmentation.views)
            for view, spec in self.augmentation.views.items():
                if spec.kind == "span_mask":
                    columns |= {f"{view}_near", f"{view}_far"}
            what = "view"
        elif part.set.startswith("sets/"):
            _check(f"{where}.set", "set", part.set, [f"sets/{name}" for name in self.sets])
            columns = set(self.sets[part.set.removeprefix("sets/")].roles)
            what = f"column of {part.set}"
        else:
            if part.set == "nli":
                self._check_source(f"{where}.set", "nli")
            else:
                _check(f"{where}.set", "set of tuples", part.set, [f"tuples/{name}" for name in self.synthesis.tuples])
            columns = {"anchor", "positive", "negative"} | ({"intermediate"} if part.set == "tuples/sts" else set())
            what = f"column of {part.set}"
        for role, names in part.roles.model_dump(exclude_none=True).items():
            for name in names if isinstance(names, list) else [names]:
                _check(f"{where}.roles.{role}", what, name, columns)

    def _check_source(self, where: str, name: str) -> None:
        _check(where, "source", name, self.sources)


class VariantSettings(NamedTuple):
    """A variant with its own encoder and training sections."""

    variant: Variant
    encoder: Encoder
    training: Training


def require_project() -> None:
    """Raise ConfigError where the working folder holds no params.yaml."""
    if not PARAMS.is_file():
        raise ConfigError(f"{PARAMS} is missing: {BEGIN}")


def load_params(
    path: Path | str = PARAMS, *, profile: str | None = None, settings: Iterable[str] | None = None
) -> Params:
    """Read `path` and lay the profile it names (or `profile`) over it, and `settings` over both.

    A profile is `profiles/<name>.yaml` beside `path`; its mappings merge key by key, anything else replaces. One that
    names another as its `base` lies over that one.

    Args:
        path: of params.yaml.
        profile: default: the one that params.yaml names.
        settings: KEY=VALUE each, a dotted key and its value in YAML (`components.config.settings`).

    Raises:
        ConfigError: naming the file and the key, in one sentence.
    """
    path, given = Path(path), list(settings or ())
    raw = read_mapping(path)
    parsed = [parse_setting(text) for text in given]
    for setting in parsed:
        if setting.path == ("profile",) and profile is None:
            raw["profile"] = setting.value
    if profile is not None:
        raw["profile"] = profile
    overlay = _profile(f"{path}: profile", raw.get("profile"), path.parent / "profiles", ())
    where = str(path) + (f" with {_clipped(', '.join(given))}" if given else "")
    try:
        changes = [setting for setting in parsed if setting.path != ("profile",)]
        return Params.model_validate(with_settings(_merged(raw, overlay), changes))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    except ValidationError as error:
        raise ConfigError(_sentence(error, where, Params)) from None


def variant_settings(params: Params, name: str, overrides: Mapping[str, Any] | None = None) -> VariantSettings:
    """The variant `name` with the sections it trains under; `overrides` replace keys of `training` once more.

    Raises:
        ConfigError: unknown variant, or an override that its section refuses.
    """
    if name not in params.variants:
        raise ConfigError(
            f"no variant named {name!r}{meant(name, params.variants)}; params.yaml has {', '.join(params.variants)}"
        )
    variant = params.variants[name]
    encoder = _overridden(params.encoder, variant.encoder, f"variants.{name}.encoder")
    training = _overridden(params.training, variant.training, f"variants.{name}.training")
    if overrides:
        training = _overridden(training, dict(overrides), "overrides")
    rows = sum(part.rows or 0 for part in variant.data)
    rest = any(part.takes_rest for part in variant.data)  # one part takes what the others leave
    if variant.data and (rows > training.batch_size or (rows == training.batch_size and rest)):
        raise ConfigError(
            f"variants.{name}.data: its parts ask for {rows} rows, which leaves none of the batch of "
            f"{training.batch_size}"
        )
    if variant.data and rows < training.batch_size and not rest:
        raise ConfigError(
            f"variants.{name}.data: its parts give {rows} rows of the batch of {training.batch_size}, and none takes "
            "the rest: leave `rows` out of one part"
        )
    return VariantSettings(variant, encoder, training)


def _overridden(section: S, changes: dict[str, Any], where: str) -> S:
    try:
        return type(section).model_validate(section.model_dump() | changes)
    except ValidationError as error:
        raise ConfigError(_sentence(error, where, type(section))) from None


def _profile(where: str, name: Any, folder: Path, above: tuple[str, ...]) -> dict[str, Any]:
    """What the profile `name` of `folder` changes, its base's changes under its own; `where` names it so."""
    found = sorted(entry.stem for entry in folder.glob("*.yaml"))
    if name not in found:
        raise ConfigError(f"{where}: {name!r} is none of {', '.join(found) or 'any (profiles/ is empty)'}")
    if name in above:
        raise ConfigError(f"{where}: {' → '.join([*above, name])} goes round; a profile can't be its own base")
    path = folder / f"{name}.yaml"
    overlay = read_mapping(path)
    if (base := overlay.pop("base", None)) is None:
        return overlay
    under = _profile(f"{path}: base", base, folder, (*above, name))
    merged: dict[str, Any] = _merged(under, overlay)
    return merged


def _merged(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {key: _merged(base[key], value) if key in base else value for key, value in over.items()}
    return over


def _check(where: str, what: str, name: str, known: Iterable[str]) -> None:
    """Raise ValueError where `name` is none of `known`."""
    known = list(known)
    if name not in known:
        raise ValueError(f"{where}: no {what} named {name!r}{meant(name, known)}")


def _sentence(error: ValidationError, where: str, model: type[BaseModel]) -> str:
    # An unknown key first: it is most often the misspelt twin of one that is then missing.
    first = min(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
    key = ".".join(_step(step) for step in first["loc"] if step != "[key]")
    if first["type"] == "extra_forbidden":
        siblings = _siblings(model, first["loc"])
        return f"{where}: {key}: unknown key{meant(str(first['loc'][-1]), siblings)}"
    message = first["msg"].removeprefix("Value error, ")
    if message[1:2].islower():  # no abbreviation
        message = message[:1].lower() + message[1:]
    got = "" if first["type"] in {"missing", "value_error"} else f" (got {_clipped(repr(first['input']))})"
    more = len(error.errors()) - 1
    also = f"; {more} more like it" if more else ""
    return f"{where}: {key + ': ' if key else ''}{message}{got}{also}"


def _step(step: int | str) -> str:
    text = str(step)
    return _clipped(text if text.isprintable() else repr(text))


def _clipped(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def _siblings(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Keys that the section holding the unknown key does know; empty when it can't be told (unions, lists)."""
    current: Any = model
    for step in loc[:-1]:
        field = getattr(current, "model_fields", {}).get(step)
        if field is None:
            return []
        current = field.annotation
    return list(getattr(current, "model_fields", {}))
