"""Pages → whole sentences, on all cores, in the source's order."""

import multiprocessing
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import NamedTuple

from mwparserfromhell.parser import ParserError

from components.config.corpus import Corpus
from components.corpus.bounds import CostlyError
from components.corpus.dump import Page
from components.corpus.sentences import faults, split
from components.corpus.wikitext import paragraphs
from components.errors import CseflowError
from components.processes import usable_cores
from components.text import well_formed

CHUNK = 1 << 18  # characters of wikitext that a worker takes at a time


class Cleaned(NamedTuple):
    """Sentences with their pages' titles, how many others were dropped for which fault, and titles of costly pages."""

    rows: list[tuple[str, str | None]]
    faults: Counter[str]
    costly: list[str]


def clean(pages: Iterable[Page], settings: Corpus) -> Cleaned:
    """The whole sentences of `pages`. A line of plain text is taken for a sentence, and judged like any other."""
    counted: Counter[str] = Counter()
    costly: list[str] = []
    found = [(sentence, page.title) for page in pages for sentence in _sentences(page, settings, counted, costly)]
    texts = [sentence for sentence, _ in found]
    reasons = faults(texts, settings) if settings.filter else [None if text.strip() else "length" for text in texts]
    counted.update(reason for reason in reasons if reason is not None)
    return Cleaned([row for row, reason in zip(found, reasons, strict=True) if reason is None], counted, costly)


def clean_all(pages: Iterable[Page], settings: Corpus, cores: int | None = None) -> Iterator[Cleaned]:
    """`clean`, chunk by chunk in order, on `cores` (None: all); no more is read ahead than keeps the workers busy."""
    work = partial(clean, settings=settings)
    chunks = _chunks(pages)
    cores = cores or usable_cores()
    if cores == 1:
        yield from map(work, chunks)
        return
    first = next(chunks, [])
    second = next(chunks, None)
    if second is None:  # done sooner than workers start
        yield work(first)
        return
    waiting: deque[Future[Cleaned]] = deque()
    try:
        with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
            waiting.extend(pool.submit(work, chunk) for chunk in (first, second))
            for chunk in chunks:
                waiting.append(pool.submit(work, chunk))
                if len(waiting) > 4 * cores:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    except BrokenProcessPool:
        raise CseflowError(
            "a worker of the corpus stage was killed, most often for want of memory; run it again"
        ) from None


def _sentences(page: Page, settings: Corpus, counted: Counter[str], costly: list[str]) -> Iterator[str]:
    if page.title is None:
        yield well_formed(page.text)
        return
    try:
        for paragraph in paragraphs(page.text, page.media, settings.language):
            yield from split(paragraph, settings.language)
    except ParserError:  # the rest of a page whose markup defeats the parser
        counted["unparsable"] += 1
    except CostlyError:
        counted["costly"] += 1
        costly.append(page.title)


def _chunks(pages: Iterable[Page]) -> Iterator[list[Page]]:
    chunk: list[Page] = []
    size = 0
    for page in pages:
        chunk.append(page)
        size += len(page.text)
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
