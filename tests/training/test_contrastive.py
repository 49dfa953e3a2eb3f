"""Encoder, objective and momentum queue together: each variant's loss against a plain float64 recomputation."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from components import paths
from components.augmentation.tokens import tokenise
from components.config import VariantSettings, load_params, variant_settings
from components.config.variants import Term, Variant
from components.encoder.batch import token_batch
from components.encoder.model import SentenceEncoder
from components.encoder.templates import Template, TokenIds
from components.objectives import false_negatives
from components.training.collate import Batch, Collator
from components.training.model import ContrastiveModel
from components.training.plan import batch_plan
from components.training.references import part_references
from components.training.rows import PartRows, load_part
from tests.project import REPOSITORY

TRAINED = [name for name, variant in load_params(REPOSITORY / "params.yaml").variants.items() if variant.objective]
BATCH = 20
Vector = NDArray[np.float64]
Pairs = Sequence[tuple[int, int]]
Change = Callable[[dict[str, Any]], None]  # of a variant's entry


class Run:
    """A variant in the miniature project: float64, dropout off, and the pairs of its first two batches."""

    def __init__(self, name: str, change: Change | None = None, **encoder: Any) -> None:
        params = load_params()
        self.settings: VariantSettings = variant_settings(params, name, {"batch_size": BATCH})
        if change is not None:
            variant = self.settings.variant
            raw = variant.model_dump()
            change(raw)
            self.settings = self.settings._replace(variant=type(variant).model_validate(raw))
        settings = self.settings.encoder.model_copy(update=encoder)
        self.encoder = SentenceEncoder.load(paths.SOURCES / "encoder", settings).double()
        parts = self.settings.variant.data
        self.parts: list[PartRows] = [
            load_part(part, lambda texts: tokenise(texts, self.encoder.tokenizer, 32), seed=0) for part in parts
        ]
        plan = batch_plan(parts, [part.rows for part in self.parts], self.settings.training, seed=0)
        self.pairs: list[Pairs] = [[(int(part), int(row)) for part, row in batch] for batch in plan[:2]]
        self.model = ContrastiveModel(self.encoder, self.settings.variant, BATCH).double().eval()

    def batch(self, number: int) -> Batch:
        apart = self.settings.variant.triplets_apart
        return Collator(self.parts, self.encoder, triplets_apart=apart)(self.pairs[number])

    def alone(self, ids: TokenIds, template: Template) -> Vector:
        """One sequence's embedding, encoded by itself."""
        with torch.no_grad():
            return self.encoder(token_batch([self.encoder.wrap(ids, template)]))[0].numpy()

    def anchors(self, number: int) -> list[Vector]:
        return [self._role(part, row, part.part.roles.anchor, anchor=True) for part, row in self._rows(number)]

    def plain_terms(self, number: int, queue: list[Vector]) -> dict[str, float]:
        """Every term from the definition, one row at a time."""
        anchors, positives, negatives = self.anchors(number), [], list[Vector]()
        triplets: list[tuple[Vector, Vector, Vector]] = []
        graded: list[tuple[Vector, list[Vector]]] = []
        for anchor, (part, row) in zip(anchors, self._rows(number), strict=True):
            roles = part.part.roles
            positives.append(self._role(part, row, roles.positive))
            negatives += [self._role(part, row, name) for name in roles.hard]
            if roles.near and roles.far:
                triplets.append((anchor, self._role(part, row, roles.near), self._role(part, row, roles.far)))
            if roles.levels:
                graded.append((anchor, [self._role(part, row, name) for name in roles.levels]))
        terms: dict[str, float] = {}
        for term in self.settings.variant.objective:
            plain = plain_term(term, anchors, positives, negatives + queue, triplets, graded)
            terms[term.term] = term.weight * plain
        return terms

    def _rows(self, number: int) -> list[tuple[PartRows, int]]:
        return [(self.parts[part], row) for part, row in sorted(self.pairs[number], key=lambda pair: pair[0])]

    def _role(self, part: PartRows, row: int, column: str, *, anchor: bool = False) -> Vector:
        [ids] = part.columns[column].take(np.array([row]))
        assert ids is not None
        return self.alone(ids, self.encoder.anchor_template if anchor else self.encoder.view_template)


def cosine(u: Vector, v: Vector) -> float:
    return float(u @ v) / math.sqrt(float(u @ u) * float(v @ v))


def plain_term(
    term: Term,
    anchors: list[Vector],
    positives: list[Vector],
    negatives: list[Vector],
    triplets: list[tuple[Vector, Vector, Vector]],
    graded: list[tuple[Vector, list[Vector]]],
) -> float:
    """SimCSE, equations 4 and 5; ArcCSE, sections 3.2 and 3.3; NGCSE's hierarchical triplet."""
    if term.term == "entailment_triplet":
        hinges = [max(0.0, cosine(a, far) - cosine(a, near) + term.margin) for a, near, far in triplets]
        return sum(hinges) / len(hinges)
    if term.term == "hierarchical_triplet":
        hinges = [
            max(0.0, cosine(a, levels[k + 1]) - cosine(a, levels[k]) + margin)
            for a, levels in graded
            for k, margin in enumerate(term.margins)
        ]
        return sum(hinges) / len(hinges)
    total = 0.0
    for i, anchor in enumerate(anchors):
        own = cosine(anchor, positives[i])
        if term.term == "arccon":
            angle = math.acos(min(1.0, own)) + math.radians(term.margin_degrees)
            assert angle <= math.pi
            own = math.cos(angle)
        others = [cosine(anchor, positive) for j, positive in enumerate(positives) if j != i]
        others += [cosine(anchor, negative) for negative in negatives]
        exponentials = [math.exp(value / term.temperature) for value in [own, *others]]
        total -= math.log(exponentials[0] / sum(exponentials))
    return total / len(anchors)


def losses(model: ContrastiveModel, batch: Batch) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in model(**batch).items()}


@pytest.mark.parametrize("variant", TRAINED)
def test_the_loss_is_what_a_plain_computation_gives(miniature: Path, variant: str) -> None:
    run = Run(variant)
    losses(run.model, run.batch(0))
    queue = run.anchors(0) if run.model.momentum is not None else []
    expected = run.plain_terms(1, queue)
    # ArcCon's plain form goes through acos, which keeps half the digits where the two sides of a pair coincide.
    assert losses(run.model, run.batch(1)) == pytest.approx(expected, rel=0, abs=1e-6)


def test_prompts_and_masked_views_go_together(miniature: Path) -> None:
    run = Run("arccse", pooling="prompt_mask", templates=["this [X] is [MASK] .", "a [X] was [MASK] ."])
    assert losses(run.model, run.batch(0)) == pytest.approx(run.plain_terms(0, []), rel=0, abs=1e-6)


def test_terms_of_one_name_are_added_up(miniature: Path) -> None:
    run = Run("simcse")
    twice = run.settings.variant.model_copy(update={"objective": run.settings.variant.objective * 2})
    once = losses(run.model, run.batch(0))
    both = losses(ContrastiveModel(run.encoder, twice, BATCH).eval(), run.batch(0))
    assert both == pytest.approx({"info_nce": 2 * once["info_nce"]}, rel=1e-12)


def test_the_queue_holds_previous_batches_only(miniature: Path) -> None:
    run = Run("esimcse-momentum")
    assert run.model.momentum is not None
    before = losses(run.model, run.batch(0))
    without_queue = Run("simcse")
    assert before == pytest.approx(losses(without_queue.model, without_queue.batch(0)), rel=1e-12)
    queued = run.model.momentum.negatives()
    assert queued is not None
    np.testing.assert_allclose(queued.numpy(), np.stack(run.anchors(0)), rtol=0, atol=1e-12)


def test_the_momentum_encoder_follows_by_its_decay(miniature: Path) -> None:
    run = Run("esimcse")
    assert run.model.momentum is not None
    old = [parameter.clone() for parameter in run.model.momentum.encoder.parameters()]
    with torch.no_grad():
        for parameter in run.encoder.parameters():
            parameter.add_(1.0 if parameter.requires_grad else 0.0)
    run.model.follow()
    for before, after, new in zip(old, run.model.momentum.encoder.parameters(), run.encoder.parameters(), strict=True):
        torch.testing.assert_close(after, 0.995 * before + 0.005 * new, rtol=0, atol=1e-12)


def test_the_momentum_encoder_takes_no_gradient(miniature: Path) -> None:
    run = Run("esimcse")
    assert run.model.momentum is not None
    for number in (0, 1):
        torch.stack(list(run.model(**run.batch(number)).values())).sum().backward()
    assert all(parameter.grad is None for parameter in run.model.momentum.parameters())


def weighted(entry: dict[str, Any]) -> None:
    entry["objective"][0]["hard_negative_weight"] = 0.7


def several(entry: dict[str, Any]) -> None:
    weighted(entry)
    entry["data"][1]["roles"] |= {"negative": None, "negatives": ["negative", "intermediate"]}


@pytest.mark.parametrize(("variant", "change"), [("ngcse-nli", weighted), ("ngcse-sts", several)])
def test_each_anchor_s_own_hard_negatives_are_weighted_beside_plain_pairs(
    miniature: Path, variant: str, change: Change
) -> None:
    """The corpus's pairs come first and have none."""
    run = Run(variant, change)
    anchors, own, positives, negatives = run.anchors(0), list[int](), list[Vector](), list[Vector]()
    for i, (part, row) in enumerate(run._rows(0)):
        roles = part.part.roles
        positives.append(run._role(part, row, roles.positive))
        own += [i] * len(roles.hard)
        negatives += [run._role(part, row, name) for name in roles.hard]
    total = 0.0
    for i, anchor in enumerate(anchors):
        exponentials = [math.exp(cosine(anchor, positive) / 0.05) for positive in positives]
        others = [
            (math.exp(0.7) if i == owner else 1.0) * math.exp(cosine(anchor, negative) / 0.05)
            for owner, negative in zip(own, negatives, strict=True)
        ]
        total -= math.log(exponentials[i] / (sum(exponentials) + sum(others)))
    assert 0 < len(set(own)) < len(anchors)
    assert losses(run.model, run.batch(0)) == pytest.approx({"info_nce": total / len(anchors)}, rel=1e-9)


def undropped(entry: dict[str, Any]) -> None:
    next(term for term in entry["objective"] if term["term"] == "entailment_triplet")["dropout"] = False


@pytest.mark.parametrize("cached", [False, True])
def test_triplets_apart_are_encoded_with_dropout_off(miniature: Path, cached: bool) -> None:
    run = Run("arccse", undropped)
    expected = run.plain_terms(0, [])
    model = ContrastiveModel(run.encoder, run.settings.variant, BATCH, cached=cached).train()
    found = losses(model, run.batch(0))
    assert found["entailment_triplet"] == pytest.approx(expected["entailment_triplet"], rel=1e-9)
    assert abs(found["arccon"] - expected["arccon"]) > 1e-3  # whose pairs differ by dropout
    assert run.encoder.training and run.encoder.transformer.training


def test_the_gradient_of_triplets_apart_is_the_plain_one_when_cached(
    miniature: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.encoder.model.packs", lambda _: False)
    run, gradients = Run("arccse", undropped), list[list[torch.Tensor]]()
    for cached in (False, True):
        model = ContrastiveModel(run.encoder, run.settings.variant, BATCH, cached=cached).train()
        run.encoder.zero_grad()
        torch.manual_seed(0)
        torch.stack(list(model(**run.batch(0)).values())).sum().backward()
        gradients.append([p.grad.clone() for p in run.encoder.parameters() if p.grad is not None])
    for plain, cached_one in zip(*gradients, strict=True):
        torch.testing.assert_close(cached_one, plain, rtol=0, atol=1e-10)


@pytest.mark.parametrize("head", ["averaged", "online"])
def test_queued_embeddings_go_through_the_head_that_is_told(miniature: Path, head: str) -> None:
    """After one step of the online encoder the two heads differ; the averaged one lags behind."""
    run = Run("esimcse-momentum", lambda entry: entry["momentum"].update(head=head), head="training")
    momentum, online = run.model.momentum, run.encoder.head
    assert momentum is not None and online is not None
    with torch.no_grad():
        for parameter in run.encoder.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    run.model.follow()
    losses(run.model, run.batch(0))
    averaged = momentum.encoder
    used = online if head == "online" else averaged.head
    weight, bias = (parameter.detach().numpy() for parameter in used[0].parameters())
    with torch.no_grad():
        tokens = [run.encoder.wrap(ids, run.encoder.anchor_template) for ids in anchor_ids(run)]
        pooled = np.stack([averaged.pooled(token_batch([each]))[0].numpy() for each in tokens])
    queued = momentum.negatives()
    assert queued is not None
    np.testing.assert_allclose(queued.numpy(), np.tanh(pooled @ weight.T + bias), rtol=0, atol=1e-12)


def anchor_ids(run: Run) -> list[TokenIds]:
    found = [part.columns[part.part.roles.anchor].take(np.array([row]))[0] for part, row in run._rows(0)]
    return [ids for ids in found if ids is not None]


@pytest.mark.parametrize(
    "name, change, sentence",
    [
        ("simcse", weighted, "hard_negative_weight needs a part of data with the role negative"),
        (
            "arccse",
            lambda entry: entry["objective"].append({"term": "entailment_triplet", "dropout": False}),
            "terms entailment_triplet share their sentences: give all of them one dropout",
        ),
    ],
)
def test_a_term_that_its_data_can_not_serve_is_refused(name: str, change: Change, sentence: str) -> None:
    entry = load_params(REPOSITORY / "params.yaml").variants[name].model_dump()
    change(entry)
    with pytest.raises(ValueError, match=sentence):
        Variant.model_validate(entry)


def masked(entry: dict[str, Any]) -> None:
    several(entry)
    entry |= {"momentum": {"queue": 2.5}, "false_negatives": {"reference": "encoder", "margin": 0.05}}


def test_false_negatives_are_left_out_among_positives_hard_negatives_and_queue(miniature: Path) -> None:
    """By the embeddings of the reference, whose texts are those of the corpus and of the tuples."""
    run = Run("ngcse-sts", masked)
    folder = paths.SOURCES / "encoder"
    drawn = [np.array([row for pairs in run.pairs for part, row in pairs if part == number]) for number in (0, 1)]
    made = [part_references(part, rows, folder) for part, rows in zip(run.parts, drawn, strict=True)]
    model = ContrastiveModel(run.encoder, run.settings.variant, BATCH, reference_dim=made[0][1]).double().eval()
    collator = Collator(run.parts, run.encoder, references=[references for references, _ in made])
    found = [losses(model, collator(pairs))["info_nce"] for pairs in run.pairs]

    def seen(part: PartRows, row: int, column: str) -> Vector:
        number = [each is part for each in run.parts].index(True)
        return made[number][0](np.array([row]))[column][0].astype(np.float64)

    queue = list(zip(run.anchors(0), [seen(p, row, p.part.roles.anchor) for p, row in run._rows(0)], strict=True))
    anchors, own, candidates, left_out = run.anchors(1), list[int](), list[tuple[Vector, Vector]](), 0
    rows = run._rows(1)
    positives = [(run._role(p, row, p.part.roles.positive), seen(p, row, p.part.roles.positive)) for p, row in rows]
    for i, (part, row) in enumerate(rows):
        own += [i] * len(part.part.roles.hard)
        candidates += [(run._role(part, row, name), seen(part, row, name)) for name in part.part.roles.hard]
    candidates += queue
    total = 0.0
    for i, (anchor, (part, row)) in enumerate(zip(anchors, rows, strict=True)):
        by_reference = seen(part, row, part.part.roles.anchor)
        threshold = cosine(by_reference, positives[i][1]) - 0.05
        exponentials = [math.exp(cosine(anchor, positives[i][0]) / 0.05)]
        others = [(None, each) for j, each in enumerate(positives) if j != i]
        others += [(own[k] if k < len(own) else None, each) for k, each in enumerate(candidates)]
        for owner, (vector, told) in others:
            if cosine(by_reference, told) > threshold:
                left_out += 1
            else:
                exponentials.append(math.exp((0.7 if owner == i else 0.0) + cosine(anchor, vector) / 0.05))
        total -= math.log(exponentials[0] / sum(exponentials))
    assert left_out > 0
    assert found[1] == pytest.approx(total / len(anchors), rel=1e-6)


def test_the_reference_keeps_its_digits_in_half_precision(miniature: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("simcse", lambda entry: entry.update(false_negatives={"reference": "encoder"}))
    seen = np.random.default_rng(0).normal(size=(BATCH, 3)).astype(np.float32)
    batch = Collator(run.parts, run.encoder, references=[lambda rows: {"identity": seen[: len(rows)]}])(run.pairs[0])
    model = ContrastiveModel(run.encoder.float(), run.settings.variant, BATCH, reference_dim=3).eval()
    given: list[torch.Tensor] = []

    def told(anchor: torch.Tensor, positive: torch.Tensor, *more: Any, **options: Any) -> torch.Tensor:
        given.append(anchor)
        return false_negatives(anchor, positive, *more, **options)

    monkeypatch.setattr("components.training.model.false_negatives", told)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        model(**batch)
    np.testing.assert_array_equal(given[0].numpy(), seen)
