"""`python -m benchmarks.rates`: what one core does in a second, step by step; the table of docs/scale.md.

Seconds of processor time, so that other work on the machine counts little. Run from a project whose data are made, with
OMP_NUM_THREADS=1.
"""

import argparse
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from components import paths
from components.augmentation.shards import make_view, view_shards
from components.augmentation.tokens import tokenise
from components.config import Params, load_params, variant_settings
from components.config.corpus import Corpus
from components.corpus.build import build
from components.corpus.dump import COMPRESSED
from components.corpus.shards import shards_of
from components.encoder.model import SentenceEncoder
from components.errors import exit_on_error
from components.training.collate import Collator
from components.training.model import ContrastiveModel
from components.training.rows import load_part
from components.training.run import CPU_ROWS

ROWS, BATCH, STEPS = 200_000, 64, 4


def main() -> None:
    argparse.ArgumentParser(prog="python -m benchmarks.rates", description=__doc__).parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    params = load_params()
    with tempfile.TemporaryDirectory(prefix="cseflow-") as scratch:
        _corpus(params, Path(scratch))
        _merging(Path(scratch))
        _views(params, Path(scratch))
    _training(params)


def seconds(work: Callable[[], object]) -> float:
    """Seconds of processor time that `work` takes in this process."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def say(step: str, rate: float, unit: str) -> None:
    sys.stdout.write(f"{step}: {rate:,.1f} {unit} a core second\n")
    sys.stdout.flush()


def _corpus(params: Params, scratch: Path) -> None:
    [shard, *_] = shards_of(paths.SOURCES / "corpus", scratch / "corpus", params.corpus, params.seed)
    with shard.source.open("rb") as packed:
        size = sum(map(len, COMPRESSED.get(shard.source.suffix, COMPRESSED[""])(packed))) / 1e6
    for _ in range(2):  # what a worker loads once is in the first alone
        shard.path.unlink(missing_ok=True)
        took = seconds(lambda: shard.make(cores=1, progress=False))
    say("corpus", size / took, "MB unpacked")
    say("corpus", pq.read_metadata(shard.path).num_rows / took, "sentences")


def _merging(scratch: Path) -> None:
    texts = pq.read_table(paths.CORPUS / "train.parquet")["text"].to_pylist()
    text = scratch / "text"
    text.write_text("".join(f"{texts[k % len(texts)]} {k}\n" for k in range(ROWS)))
    settings = Corpus(format="text", filter=False, min_words=1, max_words=1000)
    for shard in shards_of(text, scratch / "merged", settings, 0):
        shard.make(cores=1, progress=False)
    say("putting shards together", ROWS / seconds(lambda: build(text, scratch / "merged", settings, 0)), "sentences")


def _views(params: Params, scratch: Path) -> None:
    table = pq.read_table(paths.CORPUS / "train.parquet")
    corpus = scratch / "train.parquet"
    pq.write_table(pa.concat_tables([table] * -(-ROWS // len(table)))[:ROWS], corpus, row_group_size=10_000)
    for view in sorted(params.augmentation.views, key=lambda name: name != params.augmentation.identity):
        shards = view_shards(view, params, corpus=corpus, views=scratch / "views")
        took = seconds(lambda shards=shards: [shards.make(index) for index in range(len(shards))])  # type: ignore[misc]
        make_view(view, params, corpus=corpus, views=scratch / "views")
        say(view, ROWS / took, "sentences")


def _training(params: Params) -> None:
    settings = variant_settings(params, "simcse", {"batch_size": BATCH})
    encoder = SentenceEncoder.load(paths.SOURCES / settings.encoder.source, settings.encoder)
    [part] = [
        load_part(part, lambda texts: tokenise(texts, encoder.tokenizer, params.augmentation.max_length), seed=0)
        for part in settings.variant.data
    ]
    model = ContrastiveModel(encoder, settings.variant, BATCH).train()
    collator = Collator([part], encoder, rows=CPU_ROWS)
    optimiser = torch.optim.AdamW(model.parameters(), settings.training.learning_rate)

    def steps(count: int) -> None:
        for step in range(count):
            rows = part.rows[step * BATCH : (step + 1) * BATCH]
            model(**collator([(0, int(row)) for row in rows]))["info_nce"].backward()
            optimiser.step()
            optimiser.zero_grad()

    for precision in ("float32", "bfloat16"):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            steps(1)
            say(f"training, batch {BATCH}, {precision}", STEPS * BATCH / seconds(lambda: steps(STEPS)), "sentences")


if __name__ == "__main__":
    with exit_on_error():
        main()
