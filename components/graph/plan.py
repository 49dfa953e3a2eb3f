"""What the experiment demands of the data, and for each stage all that it reads: its plan."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, get_args

from components.code import code_digests
from components.config import Params
from components.config.augmentation import Augmentation, view_columns
from components.config.synthesis import Pattern
from components.config.variants import Roles
from components.errors import ConfigError
from components.files import file_digest
from components.paths import BASELINES, DATA

PLANS = DATA / "plan"  # <stage>.json, made by stage `plan`
NLI_SOURCE = "nli"  # entry of `sources` with triplets that people wrote; a profile need not have it
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
KINDS = ("corpus", "views", "sts", "nli", "tuples", "sets")  # of data sets, each with a suite of its own
BACKENDS = frozenset({"local", "openai", "replay"})  # of the synthesis: a section and a module each

# Modules whose code is in no plan: what they come to is there by value, or it decides no byte of the data.
NOT_COUNTED = (
    "components.config",
    "components.graph",
    "components.code",
    "components.errors",
    "components.files",
    "components.paths",
    "components.processes",
)


class Stage(NamedTuple):
    """A stage of dvc.yaml: the module that it runs, and which receipt of stage `fetch` names the sources it reads."""

    runs: str
    receipt: str | None = None


STAGES = {
    "fetch": Stage("components.sources.__main__"),
    "corpus": Stage("components.corpus.__main__", "corpus"),
    "sts": Stage("components.evaluation.__main__", "sts"),
    "nli": Stage("components.synthesis.nli", "nli"),
    "sets": Stage("components.synthesis.sets", "sets"),
    **{f"synthesize@{pattern}": Stage("components.synthesis.__main__", "synthesize") for pattern in PATTERNS},
    "views": Stage("components.augmentation.__main__", "views"),
    **{f"validate@{kind}": Stage("components.validation.__main__") for kind in KINDS},
}


@dataclass(frozen=True)
class Demand:
    """What the variants of an experiment train on, beside the corpus and STS-B, which all do.

    Attributes:
        encoders: sources of base encoders, and of those that tell false negatives.
        views: source of an encoder whose tokenizer makes views → those that are trained on; that of section `encoder`,
            whose views are all made, comes first.
        tuples: patterns of which an LLM is asked for tuples: all of `synthesis.tuples` where a variant trains on any.
        nli: whether the triplets of source `nli` are read, by a variant or as the LLM's examples.
        sets: entries of section `sets`.
    """

    encoders: frozenset[str]
    views: dict[str, frozenset[str]]
    tuples: tuple[Pattern, ...]
    nli: bool
    sets: tuple[str, ...]

    @classmethod
    def of(cls, params: Params, variants: Iterable[str] = ()) -> Self:
        """The demand of `experiment.variants`, of the reference and of `variants`."""
        sets: set[str] = set()
        encoders, views = {params.encoder.source}, {params.encoder.source: {params.augmentation.identity}}
        for name in dict.fromkeys([*params.experiment.variants, params.experiment.reference, *variants]):
            variant, source = params.variants[name], encoder_of(params, name)
            encoders |= {source, *reference_of(params, name)}
            own = {params.augmentation.identity} if not variant.data else set()  # it is measured on those
            for part in variant.data:
                sets.add(part.set)
                if part.set == "corpus":
                    own |= {params.augmentation.identity, *_views(part.roles, params.augmentation)}
            if own:
                views[source] = views.get(source, set()) | own
        tuples = any(each.startswith("tuples/") for each in sets)
        return cls(
            encoders=frozenset(encoders),
            views={source: frozenset(each) for source, each in views.items()},
            tuples=tuple(pattern for pattern in PATTERNS if tuples and pattern in params.synthesis.tuples),
            nli=NLI_SOURCE in params.sources and ("nli" in sets or tuples),
            sets=tuple(name for name in params.sets if f"sets/{name}" in sets),
        )

    def receipts(self, params: Params) -> dict[str, list[str]]:
        """What reads sources → their names."""
        synthesis = params.synthesis
        llm = [synthesis.local.source] if synthesis.backend == "local" else []
        cosine = [] if synthesis.filters.cosine is None else [synthesis.filters.cosine]
        return {
            "corpus": ["corpus"],
            "sts": params.evaluation.sts_sources,
            "nli": [NLI_SOURCE] if self.nli else [],
            "sets": sorted({*self._of_sets(params), *self.held_against(params).values()}),
            "synthesize": sorted({*llm, *cosine}) if self.tuples else [],
            "views": sorted(self.views),
        }

    def _of_sets(self, params: Params) -> Iterator[str]:
        """The sources of sets, and of the encoders that mine their negatives."""
        for tuples in (params.sets[name] for name in self.sets):
            yield tuples.source
            if tuples.mine is not None:
                yield tuples.mine.encoder

    def held_against(self, params: Params) -> dict[str, str]:
        """The transfer tasks whose sentences are kept out of sets, and their sources."""
        dropping = any(params.sets[name].leaks == "drop" for name in self.sets)
        return {str(task): source for task, source in params.evaluation.transfer.items()} if dropping else {}

    def sources(self, params: Params) -> list[str]:
        """Names of all sources that are read, by a stage, by training or by measuring.

        Raises:
            ConfigError: params.yaml has no such source.
        """
        by_stages = [name for names in self.receipts(params).values() for name in names]
        names = sorted({*by_stages, *self.encoders, *params.evaluation.transfer.values()})
        for name in names:
            if name not in params.sources:
                raise ConfigError(f"sources: no entry {name!r}, which the variants of experiment.variants need; add it")
        return names


def encoder_of(params: Params, variant: str) -> str:
    """The source of a variant's base encoder."""
    return str(params.variants[variant].encoder.get("source", params.encoder.source))


def reference_of(params: Params, variant: str) -> list[str]:
    """The source of the encoder that tells a variant's false negatives; none where it has none."""
    told = params.variants[variant].false_negatives
    return [] if told is None else [told.reference]


def plan_of(stage: str, params: Params, demand: Demand) -> dict[str, Any]:
    """All that a stage reads besides data of other stages: `settings` by their keys in params.yaml, and `code`.

    The plan of what nobody demands is empty: nothing makes such a stage run again.
    """
    name, _, item = stage.partition("@")
    settings = _settings(name, item, params, demand)
    if settings is None:
        return {}
    left_out = list(NOT_COUNTED)
    if name == "synthesize":
        others = BACKENDS - {params.synthesis.backend}
        left_out += [f"components.synthesis.backends.{backend}" for backend in others]
    return {"settings": settings, "code": code_digests([STAGES[stage].runs], left_out)}


def plan_file(stage: str) -> Path:
    """Where stage `plan` writes a stage's plan."""
    return PLANS / f"{stage.replace('@', '-')}.json"


def plan_text(plan: dict[str, Any]) -> str:
    """A plan as the bytes that dvc.lock has the md5 of."""
    return json.dumps(plan, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _settings(name: str, item: str, params: Params, demand: Demand) -> dict[str, Any] | None:
    """Keys of params.yaml → values as the stage sees them; None where nobody demands what it makes."""
    match name:
        case "fetch":
            wanted = demand.sources(params)
            return {f"sources.{each}": params.sources[each].model_dump(exclude={"license"}) for each in wanted} | {
                "(read by)": demand.receipts(params)
            }
        case "corpus":
            return {"seed": params.seed, **_leaves("corpus", params.corpus.model_dump())}
        case "sts":
            return _leaves("evaluation", params.evaluation.model_dump(include={"sts", "tasks", "dev"}))
        case "nli":
            return {"sources": [NLI_SOURCE]} if demand.nli else None
        case "sets":
            sets: dict[str, Any] = {f"sets.{each}": params.sets[each].model_dump() for each in demand.sets}
            if any(params.sets[each].mine for each in demand.sets):
                sets["seed"] = params.seed
            return sets | _leaves("evaluation.transfer", demand.held_against(params)) or None
        case "synthesize":
            return _of_synthesis(item, params) if item in demand.tuples else None
        case "views":
            return {
                "seed": params.seed,
                **_leaves("augmentation", params.augmentation.model_dump()),
                **_encoders(params, demand),
            }
        case _:
            return _of_validation(item, params, demand)


def _of_synthesis(pattern: str, params: Params) -> dict[str, Any]:
    """All of the section but other patterns' counts and other backends' settings."""
    section = params.synthesis.model_dump()
    kept = {key: value for key, value in section.items() if key not in BACKENDS - {params.synthesis.backend}}
    kept["tuples"] = {pattern: section["tuples"][pattern]}
    return {"seed": params.seed, "corpus.language": params.corpus.language, **_leaves("synthesis", kept)}


def _of_validation(kind: str, params: Params, demand: Demand) -> dict[str, Any]:
    own = params.validation.model_dump(include={"sample", "drift", kind})
    settings = {"profile": params.profile, **_leaves("validation", own)}
    baseline = BASELINES / params.profile / f"{kind}.json"
    settings[str(baseline)] = file_digest(baseline) if baseline.is_file() else None
    match kind:
        case "corpus":
            settings |= _leaves("corpus", params.corpus.model_dump())
        case "views":
            settings |= _leaves("augmentation", params.augmentation.model_dump())
            settings |= _encoders(params, demand)
        case "nli" | "tuples" | "sets":
            settings["corpus.language"] = params.corpus.language
    if kind == "tuples":
        settings["synthesis.tuples"] = list(demand.tuples)
    if kind == "sets":
        settings["sets"] = {name: sorted(params.sets[name].roles) for name in demand.sets}
        if demand.sets:
            settings |= _leaves("evaluation.transfer", {str(k): v for k, v in params.evaluation.transfer.items()})
    return settings


def _leaves(prefix: str, tree: dict[str, Any]) -> dict[str, Any]:
    """`tree` flat, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _leaves(f"{prefix}.{key}", value) if isinstance(value, dict) else {f"{prefix}.{key}": value}
    return flat


def _encoders(params: Params, demand: Demand) -> dict[str, Any]:
    """Whose tokenizers make views, and which views others than the main one make."""
    main = params.encoder.source
    others = {f"views of {source}": sorted(views) for source, views in demand.views.items() if source != main}
    return {"encoder.source": main, **others}


def _views(roles: Roles, augmentation: Augmentation) -> Iterator[str]:
    """The views whose columns play a role."""
    named = roles.model_dump()
    columns = {*named.pop("levels"), *named.pop("negatives"), *named.values()}
    return (name for name, view in augmentation.views.items() if not columns.isdisjoint(view_columns(name, view)))
