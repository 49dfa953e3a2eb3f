"""params.yaml and the chosen profile, merged, checked and typed."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from components.config.augmentation import Augmentation
from components.config.base import Section
from components.config.corpus import Corpus
from components.config.dask import Dask
from components.config.encoder import Encoder
from components.config.evaluation import Evaluation
from components.config.experiment import Experiment, Tracking
from components.config.promotion import Promotion
from components.config.sources import Source
from components.config.synthesis import Synthesis
from components.config.training import Training
from components.config.validation import Validation
from components.config.variants import Variant
from components.errors import ConfigError

S = TypeVar("S", bound=Section)
PARAMS = Path("params.yaml")


class Params(Section):
    """The whole of params.yaml after the profile's overrides."""

    profile: str
    seed: int = Field(ge=0)
    sources: dict[str, Source]
    corpus: Corpus
    dask: Dask = Dask()
    augmentation: Augmentation
    synthesis: Synthesis
    validation: Validation
    encoder: Encoder
    variants: dict[str, Variant]
    training: Training
    evaluation: Evaluation
    tracking: Tracking
    experiment: Experiment
    promotion: Promotion

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        known = set(self.augmentation.views)
        for view, spec in self.augmentation.views.items():
            if spec.kind == "span_mask":
                known |= {f"{view}_near", f"{view}_far"}
        for name, variant in self.variants.items():
            for part in variant.data:
                if part.set != "corpus":
                    continue
                for column in [*part.roles.model_dump(exclude={"levels"}).values(), *part.roles.levels]:
                    if column is not None and column not in known:
                        raise ValueError(f"variants.{name}: no view named {column!r}{_meant(column, known)}")
        for key, used in {
            "experiment.variants": self.experiment.variants,
            "experiment.reference": [self.experiment.reference],
        }.items():
            for name in used:
                if name not in self.variants:
                    raise ValueError(f"{key}: no variant named {name!r}{_meant(name, self.variants)}")
        wanted = [self.encoder.source, *self.evaluation.sts.values(), *self.evaluation.transfer.values()]
        if self.synthesis.backend == "local":
            wanted.append(self.synthesis.local.source)
        if self.synthesis.filters.cosine is not None:
            wanted.append(self.synthesis.filters.cosine)
        for name in wanted:
            if name not in self.sources:
                raise ValueError(f"sources: no entry {name!r}, which encoder, evaluation or synthesis names")
        return self


class VariantSettings(NamedTuple):
    """A variant with its own encoder and training sections."""

    variant: Variant
    encoder: Encoder
    training: Training


def load_params(path: Path | str = PARAMS, *, profile: str | None = None) -> Params:
    """Read `path` and lay the profile it names (or `profile`) over it.

    A profile is `profiles/<name>.yaml` beside `path`; its mappings merge key by key, anything else replaces.

    Raises:
        ConfigError: naming the file and the key, in one sentence.
    """
    path = Path(path)
    raw = _read(path)
    if profile is not None:
        raw["profile"] = profile
    name = raw.get("profile")
    overlay_path = path.parent / "profiles" / f"{name}.yaml"
    if not isinstance(name, str) or not overlay_path.is_file():
        found = sorted(entry.stem for entry in (path.parent / "profiles").glob("*.yaml"))
        raise ConfigError(f"{path}: profile: {name!r} is none of {', '.join(found) or 'any (profiles/ is empty)'}")
    try:
        return Params.model_validate(_merged(raw, _read(overlay_path)))
    except ValidationError as error:
        raise ConfigError(_sentence(error, str(path), Params)) from None


def variant_settings(params: Params, name: str, overrides: Mapping[str, Any] | None = None) -> VariantSettings:
    """The variant `name` with the sections it trains under; `overrides` replace keys of `training` once more.

    Raises:
        ConfigError: unknown variant, or an override that its section refuses.
    """
    if name not in params.variants:
        raise ConfigError(
            f"no variant named {name!r}{_meant(name, params.variants)}; params.yaml has {', '.join(params.variants)}"
        )
    variant = params.variants[name]
    encoder = _overridden(params.encoder, variant.encoder, f"variants.{name}.encoder")
    training = _overridden(params.training, variant.training, f"variants.{name}.training")
    if overrides:
        training = _overridden(training, dict(overrides), "overrides")
    rows = sum(part.rows or 0 for part in variant.data)
    if variant.data and (
        rows > training.batch_size or (rows == training.batch_size and any(part.rows is None for part in variant.data))
    ):
        raise ConfigError(
            f"variants.{name}.data: its parts ask for {rows} rows, which leaves none of the batch of "
            f"{training.batch_size}"
        )
    return VariantSettings(variant, encoder, training)


def _overridden(section: S, changes: dict[str, Any], where: str) -> S:
    try:
        return type(section).model_validate(section.model_dump() | changes)
    except ValidationError as error:
        raise ConfigError(_sentence(error, where, type(section))) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = YAML(typ="safe").load(path)
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing; run from the repository's root") from None
    except YAMLError as error:
        raise ConfigError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from None
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} must hold a mapping of sections")
    return raw


def _merged(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {key: _merged(base[key], value) if key in base else value for key, value in over.items()}
    return over


def _meant(name: str, known: Any) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _sentence(error: ValidationError, where: str, model: type[BaseModel]) -> str:
    # An unknown key first: it is most often the misspelt twin of one that is then missing.
    first = min(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
    key = ".".join(str(step) for step in first["loc"])
    if first["type"] == "extra_forbidden":
        siblings = _siblings(model, first["loc"])
        return f"{where}: {key}: unknown key{_meant(str(first['loc'][-1]), siblings)}"
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    got = "" if first["type"] in {"missing", "value_error"} else f" (got {first['input']!r})"
    more = len(error.errors()) - 1
    also = f"; {more} more like it" if more else ""
    return f"{where}: {key + ': ' if key else ''}{message}{got}{also}"


def _siblings(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Keys that the section holding the unknown key does know; empty when it can't be told (unions, lists)."""
    current: Any = model
    for step in loc[:-1]:
        field = getattr(current, "model_fields", {}).get(step)
        if field is None:
            return []
        current = field.annotation
    return list(getattr(current, "model_fields", {}))
