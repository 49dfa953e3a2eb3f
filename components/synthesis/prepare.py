"""What a pattern's synthesis asks, about which sentences, and by what the answers are judged: all from params.yaml."""

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from components.config import Params
from components.paths import CORPUS, SOURCES, STS
from components.synthesis.anchors import anchors
from components.synthesis.exemplars import draw_exemplars
from components.synthesis.filters import Judge, encoder_of, known_sentences
from components.synthesis.make import Order
from components.synthesis.prompt import load_prompt
from components.synthesis.tuples import Sentence


class Prepared(NamedTuple):
    """An order, the sentences to ask about in their order, and the judge of the answers."""

    order: Order
    sentences: Iterator[Sentence]
    judge: Judge


def prepare(pattern: str, params: Params, wanted: float) -> Prepared:
    """The order of `wanted` tuples of `pattern`, "nli" or "sts".

    Raises:
        ConfigError: the prompt's file is broken, or there are too few exemplars.
        DataError: the corpus or STS-B's train split is missing.
    """
    settings, language = params.synthesis, params.corpus.language
    by_itself = Judge(pattern, settings.filters, language)
    exemplars = draw_exemplars(pattern, settings.exemplars, params.seed, language, by_itself)
    known = known_sentences(STS)
    encode = None if settings.filters.cosine is None else encoder_of(SOURCES / settings.filters.cosine)
    judge = Judge(pattern, settings.filters, language, chain.from_iterable(exemplars.values()), known, encode)
    sentences = anchors(pattern, CORPUS / "train.parquet", settings.anchors, params.seed, known)
    return Prepared(
        Order(pattern, wanted, load_prompt(pattern), exemplars, settings, params.seed),
        (sentence for sentence in sentences if judge.asks_about(sentence.text)),
        judge,
    )
