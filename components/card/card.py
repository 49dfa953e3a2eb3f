"""README.md of an exported encoder: what it is, what it was made of, what it scores, how to load and to cite it.

It is written beside the weights once they are measured, and its part on promotion again when the gate has judged.
Scores, weights and the identity of the run do not depend on it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components import paths
from components.card.origin import Origin, origin, sources_of, sts_sources
from components.card.papers import papers_of
from components.config import Params
from components.evaluation.result import RunResult
from components.files import written_whole
from components.markdown import code, plain, table
from components.promotion.comparison import AVERAGE, Comparisons, Incomparable
from components.secrets import without_secrets
from components.spec import RunSpec
from components.tracking.journal import flatten

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

CARD = "README.md"
HERE = "path/to/this/folder"  # what the example loads until the encoder has a name on a hub
_BEGIN, _END = "<!-- promotion -->", "<!-- end of promotion -->"
_UNJUDGED = "## Promotion\n\nThe promotion gate has not judged this encoder."


@dataclass(frozen=True)
class Facts:
    """What the card tells.

    Attributes:
        params: those of the run.
        spec: of the run.
        result: what was measured of the encoder.
        description: of the variant.
        baseline: what was measured of the untrained encoder; None where that is not known.
        steps, best_step: of the training, and the one whose weights were exported; 0 where nothing was trained.
        seconds: of the training since it was last started.
        hardware: what it ran on, by name.
        models: set of tuples → the LLM that wrote it.
    """

    params: Params
    spec: RunSpec
    result: RunResult
    description: str
    baseline: RunResult | None
    steps: int
    best_step: int
    seconds: float
    hardware: Mapping[str, str]
    models: Mapping[str, str]


def write_card(folder: Path, facts: Facts) -> None:
    """Write the card of the exported `folder`, whole or not at all."""
    with written_whole(folder / CARD) as aside:
        aside.write_text(card_text(facts), encoding="utf-8")


def card_text(facts: Facts) -> str:
    """The card: metadata by the hub's rules, then Markdown. Text from outside is escaped, secrets are `***`."""
    from huggingface_hub import ModelCard, ModelCardData

    base = origin(facts.params, facts.spec.encoder.source)
    name = f"{facts.result.variant}, seed {facts.result.seed}"
    data = ModelCardData(
        model_name=without_secrets(name),
        base_model=base.hub,
        language=facts.params.corpus.language,
        license=base.license,
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        tags=["sentence-transformers", "sentence-similarity", "feature-extraction", "cseflow"],
        datasets=sorted({each.hub for each in _origins(facts).values() if each.hub and each != base}) or None,
        eval_results=_eval_results(facts) or None,
    )
    parts = [
        f"# {plain(name)}",
        plain(facts.description),
        _use(facts),
        _making(facts, base),
        _data(facts),
        _scores(facts),
        f"{_BEGIN}\n{_UNJUDGED}\n{_END}",
        _hardware(facts),
        _citations(facts),
    ]
    body = without_secrets("\n\n".join(part for part in parts if part))
    return str(ModelCard("\n".join(["---", data.to_yaml(), "---", "", body, ""])))


def with_promotion(card: str, section: str) -> str:
    """`card` with `section`, Markdown of the gate's verdict, in the place of what it said of promotion before."""
    before, begun, rest = card.partition(_BEGIN)
    _, ended, after = rest.partition(_END)
    if not (begun and ended):
        return card
    return f"{before}{_BEGIN}\n{without_secrets(section).strip()}\n{_END}{after}"


def with_name(card: str, repository: str) -> str:
    """`card` with an example that loads `repository`, OWNER/NAME on a hub."""
    return card.replace(json.dumps(HERE), json.dumps(repository))


def _use(facts: Facts) -> str:
    return (
        "## Use\n\n```python\nfrom sentence_transformers import SentenceTransformer\n\n"
        f"encoder = SentenceTransformer({json.dumps(HERE)})\n"
        'embeddings = encoder.encode(["A sentence.", "Another one."])\n'
        "similarity = encoder.similarity(embeddings, embeddings)\n```\n\n"
        f"It reads up to {facts.spec.encoder.max_length} tokens. Similarity is the cosine. "
        "All modules are those of sentence-transformers: loading runs no other code."
    )


def _making(facts: Facts, base: Origin) -> str:
    spec = facts.spec
    settings = {
        "variant": spec.variant.model_dump(exclude_none=True),
        "encoder": spec.shown_encoder,
    }
    if spec.variant.objective:
        settings["training"] = spec.training.model_dump()
    pinned = f", sha256 {code(base.sha256)}" if base.sha256 else ""
    rows = [[code(key), plain(value)] for key, value in flatten(settings).items()]
    return "\n\n".join(
        [
            "## How it was made",
            f"Base encoder: {plain(base.text)}{pinned}; license: {_license(base)}.",
            f"Variant {code(facts.result.variant)}, seed {facts.result.seed}, profile {code(facts.params.profile)} of "
            f"cseflow, run {code(spec.fingerprint)}.",
            table(["setting", "value"], rows),
        ]
    )


def _data(facts: Facts) -> str:
    origins = _origins(facts)
    rows = []
    for use, versions in (("training", facts.spec.training_data), ("evaluation", facts.spec.evaluation_data)):
        for path, digest in versions.items():
            known = [origins[name] for name in sources_of(path, facts.params)]
            name = Path(path).relative_to(paths.DATA).with_suffix("").as_posix()
            made = f"; written by {plain(facts.models[name])}" if name in facts.models else ""
            rows.append(
                [
                    use if facts.spec.variant.objective or use == "evaluation" else "held-out pairs",
                    plain(name),
                    code(digest),
                    ("; ".join(plain(each.text) for each in known) or "–") + made,
                    "; ".join(_license(each) for each in known) or "–",
                ]
            )
    note = "Digests are DVC's md5 of what was read. A license that is unknown here may still bind you: see the source."
    return "\n\n".join(["## Data", table(["use", "data", "digest", "made from", "license"], rows), note])


def _scores(facts: Facts) -> str:
    gain = facts.params.promotion.gain
    result, baseline = facts.result, facts.baseline
    runs = [result] + ([baseline] if baseline else [])
    compared = Comparisons(runs, resamples=gain.resamples, confidence=gain.confidence, seed=facts.params.seed)
    try:
        intervals = compared.interval([result])
        gains = compared.compare([result], [baseline]) if baseline else {}
    except Incomparable:
        intervals, gains = {}, {}
    rows = []
    for task, (low, high) in intervals.items():
        if task == AVERAGE and len(intervals) == 2:  # of one task it repeats that
            continue
        beside = [f"{gains[task].reference:.2f}", gains[task].gain_text, gains[task].interval_text] if gains else []
        rows.append([plain(task), f"{result.metrics[f'sts/{task}']:.2f}", f"{low:.2f} to {high:.2f}", *beside])
    heads = ["STS task", "score", "interval"] + (["untrained", "gain", "interval of the gain"] if gains else [])
    parts = ["## Scores"]
    if rows:
        parts += [
            table(heads, rows, numbers=True),
            f"Spearman ×100 of cosines; {100 * gain.confidence:g} % intervals by paired bootstrap over pairs, "
            f"{gain.resamples:,} resamples. Metadata give the same scores as fractions.",
        ]
    transfer = _of_family(result, "transfer")
    if transfer:
        cells = [[plain(task), f"{score:.2f}"] for task, score in transfer.items()]
        parts.append(table(["transfer task", "accuracy, %"], cells, numbers=True))
    return "\n\n".join(parts) if len(parts) > 1 else ""


def _hardware(facts: Facts) -> str:
    named = {key.rpartition(".")[2]: plain(value) for key, value in facts.hardware.items()}
    on = f"{named.get('cpu', 'unknown')}, {named.get('cores', '?')} cores, GPUs: {named.get('gpus', 'unknown')}"
    if not facts.spec.variant.objective:
        return f"## Hardware and time\n\nNothing was trained. It was measured on {on}."
    took = f"{facts.seconds:.0f} seconds" if facts.seconds < 120 else f"{facts.seconds / 60:.0f} minutes"
    return (
        f"## Hardware and time\n\n{facts.steps} steps in {took} (since it was last started), on {on}; "
        f"precision {code(facts.spec.training.precision)}. The weights are those of step {facts.best_step}, the best "
        "on the development set; the test sets have picked nothing."
    )


def _citations(facts: Facts) -> str:
    entries = papers_of(facts.spec.variant, facts.params.augmentation.views)
    return "## Cite\n\n```bibtex\n" + "\n".join(entries) + "\n```" if entries else ""


def _eval_results(facts: Facts) -> "list[EvalResult]":
    from huggingface_hub import EvalResult

    hubs = {name: each.hub for name, each in _origins(facts).items()}
    sts = sts_sources(facts.params)
    found = [
        EvalResult(
            task_type="semantic-similarity",
            task_name="Semantic Similarity",
            dataset_type=hubs.get(sts.get(task, "")) or _slug(task),
            dataset_name=task,
            dataset_split="test",
            metric_type="spearman_cosine",
            metric_name="Spearman Cosine",
            metric_value=round(score / 100, 6),
        )
        for task, score in _of_family(facts.result, "sts").items()
        if task in sts
    ]
    found += [
        EvalResult(
            task_type="text-classification",
            task_name="Transfer",
            dataset_type=_slug(task),
            dataset_name=task,
            metric_type="accuracy",
            metric_value=round(score / 100, 6),
        )
        for task, score in _of_family(facts.result, "transfer").items()
        if task != AVERAGE
    ]
    return found


def _of_family(result: RunResult, family: str) -> dict[str, float]:
    """Task → figure of the metrics `family/TASK`."""
    names = {key: key.removeprefix(f"{family}/") for key in result.metrics if key.startswith(f"{family}/")}
    return {name: result.metrics[key] for key, name in names.items() if "/" not in name}


def _origins(facts: Facts) -> dict[str, Origin]:
    read = [*facts.spec.training_data, *facts.spec.evaluation_data]
    names = {facts.spec.encoder.source, *(name for path in read for name in sources_of(path, facts.params))}
    return {name: origin(facts.params, name) for name in sorted(names)}


def _license(source: Origin) -> str:
    return plain(source.license) if source.license else "unknown"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.-]+", "-", text.lower())
