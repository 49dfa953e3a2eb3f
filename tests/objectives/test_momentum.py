"""The moving average and the queue, through what a training loop does with them."""

import pytest
import torch
from torch import nn

from components.objectives import MomentumQueue, info_nce


def encoder(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))


def numbered(start: int, count: int) -> torch.Tensor:
    """(count, 4); row k holds start + k four times."""
    return torch.arange(start, start + count).float().unsqueeze(1).expand(-1, 4)


def held(momentum: MomentumQueue) -> list[int]:
    negatives = momentum.negatives()
    return [] if negatives is None else sorted(int(value) for value in negatives[:, 0])


def test_update_is_the_exponential_moving_average() -> None:
    source = encoder().double()
    momentum = MomentumQueue(source, dim=4, size=8, decay=0.9)
    start = source[0].weight.detach().clone()
    with torch.no_grad():
        source[0].weight += 1
    momentum.update(source)
    momentum.update(source)
    torch.testing.assert_close(momentum.encoder[0].weight, start + 0.19, rtol=0, atol=1e-15)  # 1 − 0.9²


def test_what_the_encoder_does_not_train_is_shared_with_it_and_not_moved() -> None:
    source = encoder()
    source[0].bias.requires_grad_(False)
    before = source[0].bias.clone()
    momentum = MomentumQueue(source, dim=4, size=8, decay=0.9)
    momentum.update(source)
    assert momentum.encoder[0].bias is source[0].bias and torch.equal(source[0].bias, before)
    assert momentum.encoder[0].weight is not source[0].weight


def test_update_copies_buffers() -> None:
    source = encoder()
    momentum = MomentumQueue(source, dim=4, size=8)
    source(torch.randn(5, 3))  # moves the running mean
    momentum.update(source)
    assert torch.equal(momentum.encoder[1].running_mean, source[1].running_mean)


def test_update_leaves_the_trained_encoder_alone() -> None:
    source = encoder()
    before = source[0].weight.detach().clone()
    MomentumQueue(encoder(1), dim=4, size=8).update(source)
    assert torch.equal(source[0].weight, before)


def test_update_refuses_another_architecture() -> None:
    with pytest.raises(ValueError, match="other parameters"):
        MomentumQueue(encoder(), dim=4, size=8).update(nn.Linear(3, 4))


def test_the_copy_has_no_dropout_even_when_its_parent_trains() -> None:
    parent = nn.ModuleDict({"momentum": MomentumQueue(encoder(), dim=4, size=8)}).train()
    inputs = torch.randn(16, 3)
    assert torch.equal(parent["momentum"](inputs), parent["momentum"](inputs))


def test_what_the_copy_embeds_carries_no_gradient() -> None:
    momentum = MomentumQueue(encoder(), dim=4, size=8)
    assert not momentum(torch.randn(2, 3)).requires_grad
    assert not any(parameter.requires_grad for parameter in momentum.parameters())


def test_there_are_no_negatives_before_the_first_batch() -> None:
    assert MomentumQueue(encoder(), dim=4, size=8).negatives() is None


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([3], [0, 1, 2]),
        ([3, 3], [1, 2, 3, 4, 5]),  # wraps around within the second batch
        ([3, 3, 3], [4, 5, 6, 7, 8]),
        ([5, 2], [2, 3, 4, 5, 6]),
        ([2, 9], [6, 7, 8, 9, 10]),  # a batch larger than the queue
        ([4, 0], [0, 1, 2, 3]),
    ],
)
def test_the_queue_of_five_holds_the_newest_five(batches: list[int], expected: list[int]) -> None:
    momentum, start = MomentumQueue(encoder(), dim=4, size=5), 0
    for batch in batches:
        momentum.enqueue(numbered(start, batch))
        start += batch
    assert held(momentum) == expected


def test_enqueue_after_the_loss_does_not_disturb_its_backward_pass() -> None:
    source = encoder()
    momentum = MomentumQueue(source, dim=4, size=8)
    momentum.enqueue(numbered(1, 8))
    inputs = torch.randn(8, 3)
    loss = info_nce(source(inputs), source(inputs), temperature=0.05, negatives=momentum.negatives())
    momentum.enqueue(momentum(inputs))
    loss.backward()
    assert source[0].weight.grad is not None


def test_a_restored_queue_goes_on_as_the_first_would_have() -> None:
    first = MomentumQueue(encoder(0), dim=4, size=5)
    first.enqueue(numbered(0, 7))
    second = MomentumQueue(encoder(1), dim=4, size=5)
    second.load_state_dict(first.state_dict())
    for momentum in (first, second):
        momentum.enqueue(numbered(7, 2))
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())


@pytest.mark.parametrize("wrong", [{"dim": 0}, {"size": 0}, {"decay": 1.5}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    settings: dict[str, float] = {"dim": 4, "size": 8, "decay": 0.995} | wrong
    with pytest.raises(ValueError, match="must be"):
        MomentumQueue(encoder(), **settings)  # type: ignore[arg-type]


def test_embeddings_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"embeddings must be \(n, 4\)"):
        MomentumQueue(encoder(), dim=4, size=8).enqueue(torch.zeros(2, 3))
