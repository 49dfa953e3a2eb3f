"""The whole STS suite, STS12 to STS16, STS-B and SICK-R: time to the scores of all seven tasks, model loaded.

The peer is sentence-transformers' own evaluator, one for each task. Both score the same model on the same pairs, and
their scores must agree. Tasks whose data are not found (`--senteval DIR`, data/sts) are made up: corpus words in
sentences of STS-B's lengths, as many pairs as published, and in STS12 and SICK-R as many distinct sentences.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.floor import matmul_rate
from benchmarks.harness import ROUNDS, Floor, Row, Sample, compared, interleaved, main, require
from components.evaluation.embed import Precision, encoder_of
from components.evaluation.evaluate import STS_TASKS, find_tasks, load_model
from components.evaluation.sts import evaluate_sts
from components.evaluation.sts_data import StsPairs, load_sts, read_sts
from components.hardware import native_bf16
from components.paths import SOURCES, STS

THREADS = 2
# Pairs with a gold score, and distinct sentences where that is known to be fewer than two a pair.
PAIRS = {"STS12": 3108, "STS13": 1500, "STS14": 3750, "STS15": 3000, "STS16": 1186, "STSB": 1379, "SICKR": 4927}
DISTINCT = {"STS12": 4964, "SICKR": 5007}
WITHIN = 0.05  # points of Spearman ×100


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--senteval", type=Path, metavar="DIR", help="folder in SentEval's layout")


def made_up(task: str, like: StsPairs, generator: np.random.Generator) -> StsPairs:
    """Pairs of sentences that share about half their words, so that a model tells them apart; gold 0 to 5."""
    words = np.array(" ".join([*like.first, *like.second]).split())
    lengths = [len(text.split()) for text in [*like.first, *like.second]]
    pairs = PAIRS[task]
    pool = [
        " ".join(generator.choice(words, length))
        for length in generator.choice(lengths, DISTINCT.get(task, 2 * pairs) // 2)
    ]
    first = [pool[k] for k in generator.permutation(np.arange(pairs) % len(pool))]
    gold = generator.integers(0, 26, pairs) / 5
    others = {}
    for text in pool:
        kept = generator.random(len(text.split())) < 0.5
        swapped = zip(text.split(), kept, generator.choice(words, len(kept)), strict=True)
        others[text] = " ".join(word if keep else other for word, keep, other in swapped)
    return StsPairs(first, [others[text] for text in first], gold)


def suite(senteval: Path | None) -> tuple[dict[str, StsPairs], list[str]]:
    """The seven tasks, and which of them are made up."""
    places = find_tasks(None, senteval)
    generator = np.random.default_rng(0)
    like = load_sts("STSB")
    tasks, invented = {}, []
    for task in STS_TASKS:
        if task in places:
            tasks[task] = load_sts(task) if places[task] == STS else read_sts(task, places[task])
        else:
            tasks[task] = made_up(task, like, generator)
            invented.append(task)
    return tasks, invented


def measure(quick: bool, senteval: Path | None) -> Iterator[Row]:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator
    from sentence_transformers.util import SimilarityFunction

    torch.set_num_threads(THREADS)
    tasks, invented = suite(senteval)
    if quick:
        tasks = {task: StsPairs(p.first[:200], p.second[:200], p.score[:200]) for task, p in tasks.items()}
    ours = load_model(str(SOURCES / "encoder"))
    theirs = SentenceTransformer(str(SOURCES / "encoder"), device=str(ours.device), trust_remote_code=False)
    evaluators = {
        task: EmbeddingSimilarityEvaluator(
            pairs.first,
            pairs.second,
            (pairs.score / 5).tolist(),
            main_similarity=SimilarityFunction.COSINE,
            name=task,
            write_csv=False,
        )
        for task, pairs in tasks.items()
    }
    scores: dict[str, dict[str, float]] = {}

    def peer() -> Sample:
        start = time.perf_counter()
        scores["peer"] = {
            task: 100 * evaluator(theirs)[f"{task}_spearman_cosine"] for task, evaluator in evaluators.items()
        }
        return Sample(1, time.perf_counter() - start)

    def cseflow(precision: Precision) -> Callable[[], Sample]:
        def run() -> Sample:
            start = time.perf_counter()
            scores[precision] = evaluate_sts(encoder_of(ours, precision=precision), tasks).scores
            return Sample(1, time.perf_counter() - start)

        return run

    precisions: list[Precision] = ["fp32", *(["bf16"] if native_bf16() else [])]  # type: ignore[list-item]
    samples = interleaved(
        {"peer": peer} | {precision: cseflow(precision) for precision in precisions}, rounds=2 if quick else ROUNDS
    )
    distinct = sorted({text for pairs in tasks.values() for text in [*pairs.first, *pairs.second]})
    lengths = [len(ids) for ids in ours.tokenizer(distinct, truncation=True, max_length=256).input_ids]
    transformer: Any = ours[0].auto_model
    weights = sum(m.weight.numel() for m in transformer.encoder.modules() if isinstance(m, torch.nn.Linear))
    for precision in precisions:
        apart = max(abs(scores["peer"][task] - scores[precision][task]) for task in tasks)
        require(quick or apart <= WITHIN, f"a score in {precision} differs by {apart:.3f}")
        rate = matmul_rate(torch.bfloat16 if precision == "bf16" else torch.float32)
        yield compared(
            f"STS12–16, STS-B, SICK-R: time to the scores of the suite, cseflow in {precision}",
            samples,
            peer="EmbeddingSimilarityEvaluator, fp32",
            ours=precision,
            unit="suites/s",
            at_least=2.5,
            floor=Floor(
                "operations over the measured rate of a plain matrix product", rate / (2 * weights * sum(lengths))
            ),
            notes={
                "made up": invented,
                "largest difference of a score": apart,
                "sentences": 2 * sum(map(len, tasks.values())),
                "distinct": len(distinct),
                "scores": scores[precision],
            },
        )


if __name__ == "__main__":
    main(__doc__, measure, options=options)
