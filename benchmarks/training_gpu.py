"""On a GPU: SimCSE's step on a model of BERT-base's shape (random weights), length 32, bf16, batches of 64 to 512.

Sentences/s (two views of each are encoded); how near to the floor, which is the model FLOPs utilisation: operations of
the real tokens over the measured bf16 rate of a plain matrix product; and the ratio to SentenceTransformerTrainer with
MultipleNegativesRankingLoss at the same batch and precision.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.floor import matmul_rate
from benchmarks.harness import Floor, Row, compared, main
from benchmarks.trainers import LENGTH, Job, race
from components.errors import CseflowError
from components.paths import SOURCES

BATCHES = (64, 128, 256, 512)


def bert_base(folder: Path) -> Path:
    """A checkpoint of BERT-base's shape with random weights, and the embedded profile's tokenizer."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    BertModel(BertConfig()).save_pretrained(folder)
    AutoTokenizer.from_pretrained(SOURCES / "encoder", trust_remote_code=False).save_pretrained(folder)
    return folder


def measure(quick: bool) -> Iterator[Row]:
    if not torch.cuda.is_available():
        raise CseflowError("no GPU is at hand, so nothing was measured; run this benchmark where torch sees one")
    with tempfile.TemporaryDirectory() as folder:
        model = bert_base(Path(folder) / "bert")
        for batch in BATCHES:
            raced = race(
                {
                    "peer": Job(model, "peer", "bf16", batch),
                    "cseflow": Job(model, "cseflow", "bf16", batch),
                },
                steps=5 if quick else 20,
                rounds=2 if quick else 5,
            )
            rate = matmul_rate(torch.bfloat16, 8192, "cuda")
            yield compared(
                f"training on {torch.cuda.get_device_name()}: BERT-base's shape, batch {batch}, length {LENGTH}, bf16",
                raced.samples,
                peer="SentenceTransformerTrainer",
                unit="sentences/s",
                at_least=1.0,
                floor=Floor("operations over the measured rate of a plain matrix product", rate / raced.operations),
                notes={"real tokens of a sentence": raced.tokens},
            )


if __name__ == "__main__":
    main(__doc__, measure)
