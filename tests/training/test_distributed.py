"""Two processes with half a batch each train as one process with the whole batch does."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch.nn.parallel import DistributedDataParallel

from components.config.encoder import Encoder
from components.config.variants import InfoNce, Momentum, Part, Roles, Variant
from components.encoder.batch import token_batch
from components.encoder.model import SentenceEncoder
from components.training.collate import Batch
from components.training.model import ContrastiveModel

ROWS, PROCESSES, STEPS = 6, 2, 2
VARIANT = Variant(
    description="hard negatives and a queue",
    data=[Part(set="tuples/nli", roles=Roles(anchor="anchor", positive="positive", negative="negative"))],
    objective=[InfoNce(term="info_nce", temperature=0.05)],
    momentum=Momentum(queue=1.0),
)
WORDS = ["cat", "dog", "house", "river", "city", "king", "queen", "year", "book", "man", "woman", "child"]


def batch(encoder: SentenceEncoder, step: int, rows: range) -> Batch:
    """Rows of the step's batch: an anchor, its positive, and a hard negative each."""
    words = [WORDS[row + step * ROWS] for row in rows]
    texts = [form.format(word) for form in ("the {} sat .", "a {} was here", "no old {} ran") for word in words]
    roles = {
        role: torch.arange(len(words)) + k * len(words) for k, role in enumerate(("anchor", "positive", "negative"))
    }
    return {"tokens": token_batch(encoder.tokenise(texts), 0), "roles": roles}


def gradients(encoder_folder: str, rank: int, processes: int, out: str) -> None:
    """Save the loss of each step and the gradients of their sum, in float64 with dropout off."""
    encoder = SentenceEncoder.load(encoder_folder, Encoder()).double()
    model = ContrastiveModel(encoder, VARIANT, ROWS).double().eval()
    wrapped = DistributedDataParallel(model) if processes > 1 else model
    share = ROWS // processes
    found = {}
    for step in range(STEPS):
        terms = wrapped(**batch(encoder, step, range(rank * share, (rank + 1) * share)))
        terms["info_nce"].backward()
        found[f"loss {step}"] = terms["info_nce"].detach()
    found |= {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    assert model.momentum is not None
    save_file({**found, "queue": model.momentum.queue}, out)


def process(rank: int, encoder_folder: str, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=PROCESSES)
    try:
        gradients(encoder_folder, rank, PROCESSES, f"{folder}/{rank}.safetensors")
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def outcomes(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, torch.Tensor]]:
    """What the processes found, and last what one process alone found."""
    folder = tmp_path_factory.mktemp("distributed")
    mp.spawn(process, (str(tiny_encoder), str(folder)), nprocs=PROCESSES)
    gradients(str(tiny_encoder), 0, 1, f"{folder}/{PROCESSES}.safetensors")
    return [load_file(folder / f"{number}.safetensors") for number in range(PROCESSES + 1)]


@pytest.mark.parametrize("rank", range(PROCESSES))
def test_losses_are_those_of_the_whole_batch(outcomes: list[dict[str, torch.Tensor]], rank: int) -> None:
    for step in range(STEPS):
        torch.testing.assert_close(outcomes[rank][f"loss {step}"], outcomes[-1][f"loss {step}"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("rank", range(PROCESSES))
def test_gradients_are_those_of_the_whole_batch(outcomes: list[dict[str, torch.Tensor]], rank: int) -> None:
    alone = outcomes[-1]
    assert outcomes[rank].keys() == alone.keys()
    for name in alone:
        torch.testing.assert_close(outcomes[rank][name], alone[name], rtol=0, atol=1e-6)
