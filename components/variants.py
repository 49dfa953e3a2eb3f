"""A CSE variant put together from its entry in params.yaml: objective terms over the roles of a batch."""

from collections.abc import Callable, Mapping

from torch import Tensor

from components.config.variants import ArcCon, Composition, EntailmentTriplet, HierarchicalTriplet, InfoNce, Mlm
from components.objectives import arccon, entailment_triplet, hierarchical_triplet, info_nce

# Embeddings by role, each (rows, dim): anchor and positive of every row of the batch; negatives (hard ones and the
# queue, any number, hard ones first), with hard, (m,) int64, the place among the anchors of the first m's own one;
# excluded, (anchors, positives + negatives) of bool, who is left out of whose denominator; near
# and far with triplet_anchor, the anchors that have them; level_0 … with graded_anchor.
Embeddings = Mapping[str, Tensor]
Objective = Callable[[Embeddings], dict[str, Tensor]]


def compose(variant: Composition) -> Objective:
    """The variant's objective: from embeddings by role to each term's weighted loss, a scalar; their sum is the loss.

    A triplet term whose rows are all absent from a batch contributes nothing to it. Terms of one name are added up.
    Term `mlm` is none of embeddings, and is left to `components.training.model`.
    """
    parts = [(term.term, term.weight, _term(term)) for term in variant.objective if not isinstance(term, Mlm)]

    def objective(embeddings: Embeddings) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for name, weight, term in parts:
            loss = term(embeddings)
            if loss is not None:
                losses[name] = losses.get(name, 0.0) + weight * loss
        return losses

    return objective


def _term(term: InfoNce | ArcCon | EntailmentTriplet | HierarchicalTriplet) -> Callable[[Embeddings], Tensor | None]:
    match term:
        case InfoNce():
            return lambda e: info_nce(
                e["anchor"],
                e["positive"],
                temperature=term.temperature,
                negatives=e.get("negatives"),
                hard=e.get("hard"),
                hard_weight=term.hard_negative_weight,
                excluded=e.get("excluded"),
            )
        case ArcCon():
            return lambda e: arccon(
                e["anchor"],
                e["positive"],
                temperature=term.temperature,
                margin_degrees=term.margin_degrees,
                negatives=e.get("negatives"),
                excluded=e.get("excluded"),
            )
        case EntailmentTriplet():
            return lambda e: (
                entailment_triplet(e["triplet_anchor"], e["near"], e["far"], margin=term.margin)
                if "near" in e
                else None
            )
        case HierarchicalTriplet():
            return lambda e: (
                hierarchical_triplet(
                    e["graded_anchor"], [e[f"level_{k}"] for k in range(len(term.margins) + 1)], margins=term.margins
                )
                if "level_0" in e
                else None
            )
