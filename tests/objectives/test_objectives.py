"""Each objective against a plain float64 loop over Python floats, its gradient against finite differences."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from components.objectives import arccon, entailment_triplet, false_negatives, hierarchical_triplet, info_nce

Row = list[float]


def rows(count: int, seed: int, dim: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(count, dim, generator=generator, dtype=torch.float64)


def cos(x: Row, y: Row) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True)) / (math.hypot(*x) * math.hypot(*y))


def plain_contrast(
    anchor: Tensor, positive: Tensor, temperature: float, negatives: Tensor | None, margin: float
) -> float:
    """−log softmax at the own positive, term by term; arccos gives the angle that `arccon` never computes."""
    total = 0.0
    for i, a in enumerate(anchor.tolist()):
        own = math.exp(math.cos(math.acos(cos(a, positive.tolist()[i])) + margin) / temperature)
        others = [p for j, p in enumerate(positive.tolist()) if j != i]
        others += [] if negatives is None else negatives.tolist()
        total -= math.log(own / (own + sum(math.exp(cos(a, other) / temperature) for other in others)))
    return total / len(anchor)


def plain_triplets(anchor: Tensor, levels: list[Tensor], margins: list[float]) -> float:
    terms = []
    for k, margin in enumerate(margins):
        for a, nearer, farther in zip(anchor.tolist(), levels[k].tolist(), levels[k + 1].tolist(), strict=True):
            terms.append(max(0.0, cos(a, farther) - cos(a, nearer) + margin))
    return sum(terms) / len(terms)


NEGATIVES = pytest.mark.parametrize("negatives", [None, rows(3, 9), rows(0, 9)], ids=["in-batch", "three", "empty"])


@NEGATIVES
def test_info_nce_is_the_plain_loop(negatives: Tensor | None) -> None:
    anchor, positive = rows(4, 1), rows(4, 2)
    expected = plain_contrast(anchor, positive, 0.3, negatives, 0.0)
    assert info_nce(anchor, positive, temperature=0.3, negatives=negatives).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("own", [[0, 2, 3], [0, 2, 0]], ids=["one", "several"])
@pytest.mark.parametrize("weight", [0.0, 0.7, -1.2])
def test_own_hard_negatives_count_by_their_weight(weight: float, own: list[int]) -> None:
    """SimCSE, section 6.3: α = e^weight times, where it is the anchor's own; the last row is of a queue."""
    anchor, positive, negatives = rows(4, 1), rows(4, 2), rows(4, 9)
    total = 0.0
    for i, a in enumerate(anchor.tolist()):
        exponentials = [math.exp(cos(a, p) / 0.3) for p in positive.tolist()]
        others = [
            (math.exp(weight) if k < len(own) and own[k] == i else 1.0) * math.exp(cos(a, n) / 0.3)
            for k, n in enumerate(negatives.tolist())
        ]
        total -= math.log(exponentials[i] / (sum(exponentials) + sum(others)))
    found = info_nce(anchor, positive, temperature=0.3, negatives=negatives, hard=torch.tensor(own), hard_weight=weight)
    assert found.item() == pytest.approx(total / len(anchor), rel=1e-12)


@NEGATIVES
def test_arccon_is_the_plain_loop(negatives: Tensor | None) -> None:
    anchor = rows(4, 1)
    positive = anchor + rows(4, 2)
    expected = plain_contrast(anchor, positive, 0.3, negatives, math.radians(25))
    found = arccon(anchor, positive, temperature=0.3, margin_degrees=25, negatives=negatives)
    assert found.item() == pytest.approx(expected, rel=1e-12)


def plain_without(
    embedded: tuple[list[Row], list[Row], list[Row]],
    seen: tuple[list[Row], list[Row], list[Row]],
    own: list[int],
    margin: float,
) -> tuple[float, int]:
    """GISTEmbed's rule over Python floats: the loss with temperature .3 and weight .7, and how many are left out."""
    total, left_out = 0.0, 0
    for i, a in enumerate(embedded[0]):
        threshold = cos(seen[0][i], seen[1][i]) - margin
        exponentials = [math.exp(cos(a, embedded[1][i]) / 0.3)]
        for group in (1, 2):
            for j, candidate in enumerate(embedded[group]):
                if group == 1 and j == i:
                    continue
                if cos(seen[0][i], seen[group][j]) > threshold:
                    left_out += 1
                    continue
                weight = math.exp(0.7) if group == 2 and j < len(own) and own[j] == i else 1.0
                exponentials.append(weight * math.exp(cos(a, candidate) / 0.3))
        total -= math.log(exponentials[0] / sum(exponentials))
    return total / len(embedded[0]), left_out


@pytest.mark.parametrize("margin", [0.0, 0.3, -0.3])
def test_false_negatives_are_left_out_in_value_and_gradient(margin: float) -> None:
    """Several hard negatives of an anchor, and a queue; the reference has a dim of its own."""
    embedded = tuple(rows(count, seed).requires_grad_() for count, seed in ((4, 1), (4, 2), (5, 9)))
    seen, own = tuple(rows(count, seed, dim=3) for count, seed in ((4, 11), (4, 12), (5, 13))), [0, 2, 0]
    excluded = false_negatives(*seen, margin=margin)

    def loss(*given: Tensor) -> Tensor:
        hard = torch.tensor(own)
        return info_nce(*given[:2], temperature=0.3, negatives=given[2], hard=hard, hard_weight=0.7, excluded=excluded)

    def plain(*given: Tensor) -> tuple[float, int]:
        lists = [each.tolist() for each in (*given, *seen)]
        return plain_without(tuple(lists[:3]), tuple(lists[3:]), own, margin)

    expected, left_out = plain(*embedded)
    assert 0 < left_out == int(excluded.sum()) < excluded.numel() - 4
    found = loss(*embedded)
    assert found.item() == pytest.approx(expected, rel=1e-12)
    found.backward()
    step = 1e-6
    for which in range(3):
        for place in itertools.product(*map(range, embedded[which].shape)):
            moved = [[each.detach().clone() for each in embedded] for _ in range(2)]
            moved[0][which][place] += step
            moved[1][which][place] -= step
            slope = (plain(*moved[0])[0] - plain(*moved[1])[0]) / (2 * step)
            gradient = embedded[which].grad
            assert gradient is not None and gradient[place].item() == pytest.approx(slope, abs=1e-8)


def test_the_own_positive_is_never_left_out() -> None:
    anchor, everything = rows(3, 1), torch.ones(3, 3, dtype=torch.bool)
    for objective in (info_nce, arccon):
        assert objective(anchor, 2 * anchor, temperature=0.3, excluded=everything).item() == 0.0
    assert not false_negatives(anchor, rows(3, 2), margin=2.0).diagonal().any()


def test_arccon_leaves_out_what_info_nce_does() -> None:
    anchor, positive, excluded = rows(4, 1), rows(4, 2), false_negatives(rows(4, 3), rows(4, 4))
    found = arccon(anchor, positive, temperature=0.3, margin_degrees=0.0, excluded=excluded)
    torch.testing.assert_close(found, info_nce(anchor, positive, temperature=0.3, excluded=excluded))


@pytest.mark.parametrize("margin", [0.0, 0.4])
def test_entailment_triplet_is_the_plain_loop(margin: float) -> None:
    anchor, near, far = rows(6, 1), rows(6, 2), rows(6, 3)
    expected = plain_triplets(anchor, [near, far], [margin])
    assert expected > 0
    assert entailment_triplet(anchor, near, far, margin=margin).item() == pytest.approx(expected, rel=1e-12)


def test_hierarchical_triplet_is_the_plain_loop() -> None:
    anchor, levels = rows(6, 1), [rows(6, 2), rows(6, 3), rows(6, 4)]
    expected = plain_triplets(anchor, levels, [5e-3, 5e-2])
    assert hierarchical_triplet(anchor, levels, margins=(5e-3, 5e-2)).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("objective", "inputs"),
    [
        (lambda a, p: info_nce(a, p, temperature=0.3), 2),
        (lambda a, p, n: info_nce(a, p, temperature=0.3, negatives=n), 3),
        (lambda a, p, n: info_nce(a, p, temperature=0.3, negatives=n, hard=torch.arange(4), hard_weight=0.7), 3),
        (
            lambda a, p, n: info_nce(a, p, temperature=0.3, negatives=n, hard=torch.tensor([0, 2, 0]), hard_weight=0.7),
            3,
        ),
        (lambda a, p: arccon(a, p, temperature=0.3), 2),
        (lambda a, p, n: arccon(a, p, temperature=0.3, margin_degrees=60, negatives=n), 3),
        (lambda a, n, f: entailment_triplet(a, n, f, margin=0.4), 3),
        (lambda a, p, q, r: hierarchical_triplet(a, [p, q, r], margins=[0.1, 0.2]), 4),
    ],
    ids=[
        "info_nce",
        "info_nce-negatives",
        "info_nce-weighted",
        "info_nce-several",
        "arccon",
        "arccon-negatives",
        "entailment",
        "hierarchical",
    ],
)
def test_gradients_are_the_finite_differences(objective: Callable[..., Tensor], inputs: int) -> None:
    leaves = tuple(rows(4, seed).requires_grad_() for seed in range(inputs))
    assert torch.autograd.gradcheck(objective, leaves)


def test_arccon_gradient_past_pi_is_the_finite_difference() -> None:
    anchor = rows(3, 1)
    positive = -anchor + 0.05 * rows(3, 2)  # θ near 175 degrees, θ + m beyond 180
    leaves = (anchor.requires_grad_(), positive.requires_grad_())
    assert torch.autograd.gradcheck(lambda a, p: arccon(a, p, temperature=0.3, margin_degrees=30), leaves)


def test_arccon_without_margin_is_info_nce() -> None:
    anchor, positive = rows(4, 1), rows(4, 2)
    found = arccon(anchor, positive, temperature=0.05, margin_degrees=0)
    assert found.item() == pytest.approx(info_nce(anchor, positive, temperature=0.05).item(), rel=1e-12)


def test_arccon_is_continuous_and_never_falls_as_the_positive_turns_away() -> None:
    """Steps of 0.1 degree from 0 to 180; the other candidate stands at a right angle throughout."""
    losses = []
    for tenth in range(1801):
        theta = math.radians(tenth / 10)
        positive = torch.tensor([[math.cos(theta), math.sin(theta), 0.0]], dtype=torch.float64)
        away = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
        anchor = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
        losses.append(arccon(anchor, positive, temperature=1.0, margin_degrees=10, negatives=away).item())
    steps = [after - before for before, after in itertools.pairwise(losses)]
    assert min(steps) >= 0
    assert max(steps) < 2 * math.radians(0.1)  # the slope in θ is at most 1/τ


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["theta=0", "theta=pi"])
@pytest.mark.parametrize("margin", [0.0, 10.0, 90.0, 179.0])
def test_arccon_is_finite_at_both_ends_of_the_angle(dtype: torch.dtype, sign: float, margin: float) -> None:
    anchor = rows(4, 1).to(dtype).requires_grad_()
    positive = (sign * anchor.detach()).requires_grad_()
    loss = arccon(anchor, positive, temperature=0.05, margin_degrees=margin)
    loss.backward()
    found = [loss, anchor.grad, positive.grad]
    assert all(value is not None and value.isfinite().all() for value in found)


def test_arccon_of_equal_directions_has_the_margin_alone() -> None:
    anchor = torch.eye(2, dtype=torch.float64)
    expected = math.log1p(math.exp(-math.cos(math.radians(10)) / 0.05))
    assert arccon(anchor, 3 * anchor, temperature=0.05).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "objective",
    [
        lambda a, p: info_nce(a, p, temperature=0.05),
        lambda a, p: arccon(a, p, temperature=0.05),
        lambda a, p: entailment_triplet(a, p, p.flip(0), margin=1.0),
        lambda a, p: hierarchical_triplet(a, [p, p.flip(0)], margins=[1.0]),
    ],
    ids=["info_nce", "arccon", "entailment", "hierarchical"],
)
def test_a_zero_embedding_has_a_bounded_gradient(objective: Callable[..., Tensor]) -> None:
    anchor, positive = rows(3, 1).float(), rows(3, 2).float()
    anchor[0] = 0
    anchor.requires_grad_()
    objective(anchor, positive).backward()
    assert anchor.grad is not None
    assert anchor.grad.abs().max() < 100


@pytest.mark.parametrize(("given", "computed"), [(torch.bfloat16, torch.float32), (torch.float64, torch.float64)])
def test_half_precision_is_computed_in_float32_and_float64_kept(given: torch.dtype, computed: torch.dtype) -> None:
    assert info_nce(rows(4, 1).to(given), rows(4, 2).to(given), temperature=0.05).dtype == computed


def test_autocast_leaves_the_logits_in_full_precision() -> None:
    anchor, positive = rows(64, 1).float(), rows(64, 2).float()
    plain = info_nce(anchor, positive, temperature=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        assert info_nce(anchor, positive, temperature=0.05).item() == plain.item()


def test_length_of_an_embedding_does_not_matter() -> None:
    anchor, positive = rows(4, 1), rows(4, 2)
    scaled = info_nce(7 * anchor, 0.1 * positive, temperature=0.05)
    assert scaled.item() == pytest.approx(info_nce(anchor, positive, temperature=0.05).item(), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: info_nce(rows(4, 1), rows(3, 1), temperature=0.05),
            r"positive \(3, 5\) must have the shape of anchor",
        ),
        (lambda: info_nce(rows(4, 1)[0], rows(4, 1)[0], temperature=0.05), r"anchor must be \(batch, dim\)"),
        (lambda: info_nce(rows(0, 1), rows(0, 1), temperature=0.05), "at least one row"),
        (lambda: info_nce(rows(4, 1), rows(4, 1), temperature=0.0), "temperature must be above 0"),
        (
            lambda: info_nce(rows(4, 1), rows(4, 1), temperature=1, negatives=rows(2, 1, 6)),
            r"negatives must be \(n, 5\)",
        ),
        (lambda: arccon(rows(4, 1), rows(4, 1), temperature=1, margin_degrees=180), "margin_degrees must be in"),
        (lambda: entailment_triplet(rows(4, 1), rows(4, 1), rows(3, 1)), "far .* must have the shape of anchor"),
        (lambda: hierarchical_triplet(rows(4, 1), [rows(4, 1)], margins=[]), "at least two levels"),
        (lambda: hierarchical_triplet(rows(4, 1), [rows(4, 1)] * 3, margins=[0.1]), "3 levels with 1 margins"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(call: Callable[[], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
