"""What is said of a set of tuples: the stage's report, which DVC shows as a metric, and a training run's parameters."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import DataError

if TYPE_CHECKING:
    from components.synthesis.backends import Backend
    from components.synthesis.make import Made, Order

FIGURES = ("model", "prompt", "asked", "accepted", "rejected_share", "prompt_tokens", "completion_tokens", "cost")


def report(order: "Order", made: "Made", backend: "Backend") -> dict[str, Any]:
    """Fit for JSON, the same for the same answers: no time, and nothing of answers that the tuples do not rest on.

    `asked` are answers, of which `accepted` became tuples; the rest stands in `rejected` by reason, with samples.
    """
    reasons = sorted(made.rejected.items(), key=lambda item: (-item[1].count, item[0]))
    rejected = sum(rejection.count for _, rejection in reasons)
    settings = order.settings
    return {
        "backend": backend.name,
        "model": backend.model,
        "prompt": order.prompt.version,
        "exemplars": {role: [each.id for each in chosen] for role, chosen in order.exemplars.items()},
        "seed": order.seed,
        "sampling": settings.sampling.model_dump(),
        "wanted": settings.tuples[order.pattern],  # type: ignore[index]
        "sentences": made.sentences,
        "asked": made.spent.requests,
        "accepted": len(made.rows),
        "rejected_share": round(rejected / max(made.spent.requests, 1), 4),
        "prompt_tokens": made.spent.prompt_tokens,
        "completion_tokens": made.spent.completion_tokens,
        "cost": round(made.spent.money(settings.price), 6),
        "rejected": {reason: rejection.count for reason, rejection in reasons},
        "samples": {reason: rejection.samples for reason, rejection in reasons},
    }


def figures(tuples: Path) -> dict[str, Any]:
    """What a run that trains on the file `tuples` logs of the report beside it; nothing where there is none.

    Raises:
        DataError: the report is broken.
    """
    path = tuples.with_suffix(".json")
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return {name: told[name] for name in FIGURES}
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path} is no report of the synthesis; run `dvc repro`") from None
