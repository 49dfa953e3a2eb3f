"""What a small corpus falls short of in the later stages, all at once, with the keys to change."""

from collections.abc import Iterator, Sequence

from components.config import Params
from components.text import word_count

OWN_LANGUAGE = "en"  # of the prompts, of STS-B and of our own exemplars


def shortfalls(params: Params, train: Sequence[str]) -> Iterator[str]:
    """One clause for each setting that asks for more than the training sentences `train` can give."""
    count = len(train)
    if count < params.validation.corpus.min_rows:
        least = params.validation.corpus.min_rows
        yield f"validation.corpus.min_rows asks for {least:,} training sentences, there are {count:,}"
    if count < params.training.batch_size:
        yield f"training.batch_size is {params.training.batch_size:,}, there are {count:,} training sentences"
    if not any(part.set.startswith("tuples/") for variant in params.variants.values() for part in variant.data):
        return
    language, anchors = params.corpus.language, params.synthesis.anchors
    if language != OWN_LANGUAGE:
        yield f"synthesis writes English tuples, corpus.language is {language!r}: leave variants with tuples out"
        return
    asked = sum(anchors.min_words <= word_count(text, language) <= anchors.max_words for text in train)
    for pattern, wanted in params.synthesis.tuples.items():
        if asked < wanted:
            yield f"synthesis.tuples.{pattern} asks for {wanted:,}, {asked:,} sentences fit synthesis.anchors"
    if asked < params.validation.tuples.min_rows:
        yield f"validation.tuples.min_rows asks for {params.validation.tuples.min_rows:,}, of these {asked:,} sentences"
