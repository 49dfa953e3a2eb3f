"""Training SimCSE against SentenceTransformerTrainer with MultipleNegativesRankingLoss, on two CPU threads.

MiniLM-L6, dropout pairs, batches of 64, 32 tokens; once both in fp32, once each at its defaults: the peer's is fp32,
ours bf16 where the processor multiplies it natively. The three trainers take turns of a few steps, each to the end of
its training, after which they must score alike on STS-B dev.
"""

from collections.abc import Iterator

import torch

from benchmarks.floor import matmul_rate
from benchmarks.harness import ROUNDS, Floor, Row, compared, main, require
from benchmarks.trainers import LENGTH, THREADS, Job, race
from components.hardware import effective_precision
from components.paths import SOURCES

SPREAD = 0.4  # points of Spearman ×100 between seeds on STS-B dev, and more


def measure(quick: bool) -> Iterator[Row]:
    torch.set_num_threads(THREADS)
    default = effective_precision("auto")
    jobs = {
        "peer": Job(SOURCES / "encoder", "peer", "fp32"),
        "fp32": Job(SOURCES / "encoder", "cseflow", "fp32"),
        "default": Job(SOURCES / "encoder", "cseflow", default),
    }
    raced = race(jobs, steps=2 if quick else 6, rounds=2 if quick else ROUNDS)
    for name in ("fp32", "default"):
        require(
            abs(raced.scores[name] - raced.scores["peer"]) <= SPREAD,
            f"STS-B dev is {raced.scores[name]:.2f} at the end of {name}, the peer's {raced.scores['peer']:.2f}",
        )
    notes = {"STS-B dev at the end": raced.scores, "real tokens of a sentence": raced.tokens}
    for name, title, bar in (("fp32", "both fp32", 1.3), ("default", f"defaults: {default} against fp32", 2.2)):
        half = jobs[name].precision == "bf16"
        rate = matmul_rate(torch.bfloat16 if half else torch.float32)
        yield compared(
            f"training, {title} (MiniLM-L6, batch 64, length {LENGTH}, {THREADS} threads)",
            raced.samples,
            ours=name,
            peer="SentenceTransformerTrainer",
            unit="sentences/s",
            at_least=bar,
            floor=Floor("operations over the measured rate of a plain matrix product", rate / raced.operations),
            notes=notes,
        )


if __name__ == "__main__":
    main(__doc__, measure)
