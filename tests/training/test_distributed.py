"""Several processes with a share of each batch train as one process with the whole batch does; gradient caching too."""

import copy
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from numpy.typing import NDArray
from ruamel.yaml import YAML
from safetensors.torch import load_file, save_file
from torch.nn.parallel import DistributedDataParallel

from components import paths
from components.augmentation.tokens import tokenise
from components.config import load_params, variant_settings
from components.config.training import Training
from components.config.variants import Part
from components.encoder.model import SentenceEncoder
from components.training.collate import Collator, References
from components.training.model import ContrastiveModel
from components.training.plan import Plan, batch_plan, shared_out
from components.training.rows import PartRows, load_part
from components.training.whole_batch import whole_mean
from tests.project import REPOSITORY, make_project

pytestmark = pytest.mark.slow

# Hard negatives; a queue; triplets that rows may lack; two parts, one with negatives, which `weighted` weights; two
# parts, one graded; all of it; triplets that are encoded apart; two hard negatives, a queue, and false negatives.
VARIANTS = ["simcse-sup", "esimcse", "arccse", "weighted", "ngcse-sts-ht", "cse-mix", "apart", "masked"]
REFERENCE_DIM = 3
BATCH, PROCESSES, STEPS = 24, 2, 4  # after three steps the queue of 2.5 batches has gone round
# Without dropout the two sides of a pair would coincide, where ArcCon's slope has no bound; two templates part them.
PROMPTS = {"pooling": "prompt_mask", "templates": ["this [X] is [MASK] .", "a [X] was [MASK] ."]}
CACHE_ROWS = 5  # no divisor of a batch's texts
Found = dict[str, torch.Tensor]


def train(variant: str, rank: int, processes: int, *, cached: bool, dropout: bool) -> Found:
    """The losses of each step, the gradients of their sum, and the queue, in float64."""
    params = load_params()
    settings = variant_settings(params, variant, {"batch_size": BATCH})
    apart = settings.variant.triplets_apart
    torch.manual_seed(0)
    encoder = SentenceEncoder.load(paths.SOURCES / "encoder", settings.encoder.model_copy(update=PROMPTS)).double()
    parts = [
        load_part(part, lambda texts: tokenise(texts, encoder.tokenizer, 32), seed=0) for part in settings.variant.data
    ]
    plan = whole_plan(settings.variant.data, [part.rows for part in parts], settings.training)
    shares = shared_out(plan, processes)
    masked = settings.variant.false_negatives is not None
    references = [references_of(part) for part in parts] if masked else []
    collator = Collator(parts, encoder, rows=CACHE_ROWS, triplets_apart=apart, references=references)
    dim = REFERENCE_DIM if masked else 0
    model = ContrastiveModel(encoder, settings.variant, BATCH, cached=cached, reference_dim=dim)
    model.double().train(dropout)
    wrapped = DistributedDataParallel(model, find_unused_parameters=True) if processes > 1 else model
    found: Found = {}
    for step in range(STEPS):
        share = shares[step * processes + rank]
        terms = wrapped(**collator([(int(part), int(row)) for part, row in share]))
        torch.stack(list(terms.values())).sum().backward()
        found |= {f"{name} of step {step}": value.detach() for name, value in terms.items()}
        model.follow()
    found |= {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    if model.momentum is not None:
        found["queue"] = model.momentum.queue
    return found


def references_of(part: PartRows) -> References:
    """Any direction for each row of each column, the same in every process."""
    count = max(len(column) for column in part.columns.values())
    found = {
        name: np.random.default_rng(number).normal(size=(count, REFERENCE_DIM)).astype(np.float32)
        for number, name in enumerate(part.columns)
    }
    return lambda rows: {name: vectors[rows] for name, vectors in found.items()}


def whole_plan(parts: list[Part], rows: list[NDArray[np.int64]], training: Training) -> Plan:
    """Four batches, of which the last one lacks a row: it can't be shared out evenly."""
    plan = list(batch_plan(parts, rows, training, seed=0))
    plan = (plan * STEPS)[:STEPS]
    return [*plan[:-1], plan[-1][1:]]


def process(rank: int, project: str, out: str) -> None:
    os.chdir(project)
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{out}/meeting", rank=rank, world_size=PROCESSES)
    try:
        for variant in VARIANTS:
            for cached in (False, True):
                found = train(variant, rank, PROCESSES, cached=cached, dropout=False)
                save_file(found, f"{out}/{variant}-{cached}-{rank}.safetensors")
        total = torch.tensor(3.0 + rank, dtype=torch.float64, requires_grad=True)
        mean = whole_mean(total, 2 + rank)
        mean.backward()
        save_file({"mean": mean.detach(), "gradient": total.grad}, f"{out}/mean-{rank}.safetensors")
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def project(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which a third of the sentences are too short for a span mask: triplets come unevenly."""
    raw = YAML(typ="safe").load(REPOSITORY / "params.yaml")
    views, variants = raw["augmentation"]["views"], raw["variants"]
    views["span_mask"] = {"kind": "span_mask", "near": 0.1, "far": 0.2}
    weighted, apart = copy.deepcopy(variants["ngcse-nli"]), copy.deepcopy(variants["arccse"])
    weighted["objective"][0]["hard_negative_weight"] = 0.7
    apart["objective"][1]["dropout"] = False
    masked = copy.deepcopy(variants["ngcse-sts"])
    masked["data"][1]["roles"] = {
        "anchor": "anchor",
        "positive": "positive",
        "negatives": ["negative", "intermediate"],
    }
    masked |= {"momentum": {"queue": 2.5}, "false_negatives": {"reference": "encoder", "margin": 0.2}}
    folder = tmp_path_factory.mktemp("shared") / "project"
    added = {"weighted": weighted, "apart": apart, "masked": masked}
    return make_project(folder, tiny_encoder, augmentation={"views": views}, variants=added)


@pytest.fixture
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


@pytest.fixture(scope="module")
def outcomes(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each process has left what it found."""
    out = tmp_path_factory.mktemp("distributed")
    mp.start_processes(process, (str(project), str(out)), nprocs=PROCESSES, start_method="forkserver")
    return out


def assert_same(found: Found, expected: Found) -> None:
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-10)


@pytest.mark.parametrize("cached", [False, True], ids=["plain", "cached"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_processes_find_losses_gradients_and_queue_of_the_whole_batch(
    inside: None, outcomes: Path, variant: str, cached: bool
) -> None:
    alone = train(variant, 0, 1, cached=False, dropout=False)
    for rank in range(PROCESSES):
        assert_same(load_file(outcomes / f"{variant}-{cached}-{rank}.safetensors"), alone)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_cached_gradient_is_the_plain_one_dropout_included(
    inside: None, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Packed, a plain pass takes all sequences at once, whose masks are other draws than those of its pieces.
    monkeypatch.setattr("components.encoder.model.packs", lambda _: False)
    plain = train(variant, 0, 1, cached=False, dropout=True)
    assert_same(train(variant, 0, 1, cached=True, dropout=True), plain)


def test_a_mean_over_all_processes_has_a_gradient_that_their_average_sets_right(outcomes: Path) -> None:
    found = [load_file(outcomes / f"mean-{rank}.safetensors") for rank in range(PROCESSES)]
    assert [float(each["mean"]) for each in found] == pytest.approx([7 / 5, 7 / 5])
    assert [float(each["gradient"]) / PROCESSES for each in found] == pytest.approx([1 / 5, 1 / 5])


def test_the_triplets_do_come_unevenly(inside: None) -> None:
    part = variant_settings(load_params(), "arccse").variant.data[0]
    present = load_part(part, lambda texts: tokenise(texts, None, 32), seed=0).columns["span_mask_near"].present()  # type: ignore[arg-type]
    assert 0 < present.sum() < len(present)
