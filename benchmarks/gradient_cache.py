"""`python -m benchmarks.gradient_cache BATCH [CACHE_ROWS]`: peak memory of one training step; a line of docs/scale.md.

One process is one measurement: a process's peak never falls. Run from a project whose data are made.
"""

import argparse
import resource
import sys

import torch

from components import paths
from components.augmentation.tokens import tokenise
from components.config import load_params, variant_settings
from components.encoder.model import SentenceEncoder
from components.errors import exit_on_error
from components.training.collate import Collator
from components.training.model import ContrastiveModel
from components.training.rows import load_part
from components.training.run import CPU_ROWS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gradient_cache", description=__doc__)
    parser.add_argument("batch", type=int)
    parser.add_argument("cache_rows", type=int, nargs="?", help="default: no gradient caching")
    chosen = parser.parse_args()
    params = load_params()
    settings = variant_settings(params, "simcse", {"batch_size": chosen.batch})
    encoder = SentenceEncoder.load(paths.SOURCES / settings.encoder.source, settings.encoder)
    [part] = [
        load_part(part, lambda texts: tokenise(texts, encoder.tokenizer, params.augmentation.max_length), seed=0)
        for part in settings.variant.data
    ]
    cached = chosen.cache_rows is not None
    model = ContrastiveModel(encoder, settings.variant, chosen.batch, cached=cached).train()
    batch = Collator([part], encoder, rows=chosen.cache_rows or CPU_ROWS)(
        [(0, int(k)) for k in part.rows[: chosen.batch]]
    )
    before = peak()
    torch.manual_seed(0)
    loss = model(**batch)["info_nce"]
    loss.backward()
    squares = [parameter.grad.double().pow(2).sum() for parameter in model.parameters() if parameter.grad is not None]
    norm = float(torch.stack(squares).sum().sqrt())
    sys.stdout.write(
        f"batch {chosen.batch}, cache_rows {chosen.cache_rows}: loss {loss.item():.6f}, gradient norm {norm:.6f}, "
        f"peak {peak():,.0f} MiB, {peak() - before:,.0f} MiB of it for the step\n"
    )


def peak() -> float:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    with exit_on_error():
        main()
