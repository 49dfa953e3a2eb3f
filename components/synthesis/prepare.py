"""What a pattern's synthesis asks, about which sentences, and by what the answers are judged: all from params.yaml."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple

from components.config import Params
from components.errors import CseflowError, DataError
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
        DataError: the corpus or STS-B's train split is missing, or no sentence can be asked about.
    """
    settings, language = params.synthesis, params.corpus.language
    by_itself = Judge(pattern, settings.filters, language)
    known = known_sentences(STS)
    corpus = CORPUS / "train.parquet"
    sentences = anchors(pattern, corpus, settings.anchors, params.seed, known, by_itself.asks_about)
    faults: list[CseflowError] = []
    try:  # what both lack is told at once
        first = list(islice(sentences, 1))
    except DataError as error:
        faults.append(error)
    try:
        exemplars = draw_exemplars(pattern, settings.exemplars, params.seed, language, by_itself)
    except CseflowError as error:
        faults.append(error)
    if faults:
        raise type(faults[0])("; ".join(map(str, faults)))
    encode = None if settings.filters.cosine is None else encoder_of(SOURCES / settings.filters.cosine)
    judge = Judge(pattern, settings.filters, language, chain.from_iterable(exemplars.values()), known, encode)
    return Prepared(
        Order(pattern, wanted, load_prompt(pattern), exemplars, settings, params.seed),
        chain(first, sentences),
        judge,
    )
