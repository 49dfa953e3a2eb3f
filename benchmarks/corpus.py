"""MediaWiki dump → clean text, MB of XML a second on one core, against wikiextractor and gensim's WikiCorpus.

All three read the same compressed export in one process, and leave no table, template, reference or link behind. The
peers go no further than text; ours goes on to sentences, judges each and identifies its language. So there are two
rows: the text of the peer against our sentences, and equal work, where its text is cut into sentences and the language
of each is identified by the same libraries, called plainly. The residue is counted by one regular expression, RESIDUE,
over the text that each gives: its matches in a million characters. The faster of the peers is the one compared with.
"""

import bz2
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import py3langid
import sentencex

from benchmarks.harness import ROUNDS, Contestant, Row, Sample, compared, interleaved, main, require
from components.config import load_params
from components.corpus.cleaning import clean_all
from components.corpus.dump import Page, read_pages
from components.errors import DataError
from components.paths import SOURCES

# Brackets of links and templates, table rows, bold and italics, tags, addresses, entities, image options, headings.
RESIDUE = re.compile(
    r"\[\[|\]\]|\{\{|\}\}|\{\||\|\}|'''?|</?[A-Za-z][^<>]*>|https?://|^[|!*#:;]|&[a-z]+;|&#\d+;|\bthumb\||\d+px|==+"
    r"|\b(?:File|Image|Category):",
    re.MULTILINE,
)


def dump() -> Path:
    """The embedded profile's export.

    Raises:
        DataError: it is not there.
    """
    found = sorted((SOURCES / "corpus").glob("*.bz2"))
    if not found:
        raise DataError(f"no dump in {SOURCES / 'corpus'}; bring it with: python -m components.sources corpus")
    return found[0]


def ours(path: Path) -> str:
    pages = (page for page in read_pages(path, "mediawiki") if isinstance(page, Page))
    return "\n".join(text for part in clean_all(pages, load_params().corpus, cores=1) for text, _ in part.rows)


def wikiextractor(path: Path) -> str:
    from wikiextractor import WikiExtractor
    from wikiextractor.extract import Extractor

    WikiExtractor.templateNamespace = "Template:"  # as the export says; unset, no page is taken
    with bz2.open(path, "rt", encoding="utf-8") as lines:
        return "\n".join(
            "\n".join(Extractor(number, revision, "", title, page).clean_text("".join(page), expand_templates=False))
            for number, revision, title, page in WikiExtractor.collect_pages(lines)
        )


def gensim(path: Path) -> str:
    from gensim.corpora.wikicorpus import IGNORED_NAMESPACES, extract_pages, filter_wiki

    ignored = tuple(f"{name}:" for name in IGNORED_NAMESPACES)
    with bz2.open(path) as content:
        return "\n".join(
            filter_wiki(text) for title, text, _ in extract_pages(content) if not title.startswith(ignored)
        )


def sentences_of(extracted: Callable[[Path], str]) -> Callable[[Path], str]:
    """The same peer, its text made into sentences of the corpus's language."""

    def sentences(path: Path) -> str:
        language = load_params().corpus.language
        return "\n".join(
            sentence
            for line in extracted(path).splitlines()
            for sentence in sentencex.segment(language, line)
            if sentence.strip() and py3langid.classify(sentence)[0] == language
        )

    return sentences


PEERS: dict[str, Callable[[Path], str]] = {"wikiextractor": wikiextractor, "gensim": gensim}
SIDES = {
    "cseflow": ours,
    **{f"{name} (to text)": peer for name, peer in PEERS.items()},
    **{f"{name}, sentencex, py3langid": sentences_of(peer) for name, peer in PEERS.items()},
}


def measure(quick: bool) -> Iterator[Row]:
    path = dump()
    with bz2.open(path) as content:
        size = sum(len(block) for block in iter(lambda: content.read(1 << 20), b"")) / 1e6
    texts: dict[str, str] = {}

    def contestant(name: str) -> Contestant:
        def run() -> Sample:
            start = time.perf_counter()
            texts[name] = SIDES[name](path)
            return Sample(size, time.perf_counter() - start)

        return run

    samples = interleaved(
        {name: contestant(name) for name in SIDES}, rounds=1 if quick else ROUNDS, warm_up=0 if quick else 1
    )
    rates = {name: median(sample.rate for sample in each) for name, each in samples.items()}
    residue = {name: 1e6 * len(RESIDUE.findall(text)) / len(text) for name, text in texts.items()}
    for claim, ending in (
        ("corpus: MediaWiki dump to clean sentences, one core, against the peer's text", "(to text)"),
        ("corpus: MediaWiki dump to clean sentences, one core, equal work", "py3langid"),
    ):
        peer = max((name for name in SIDES if name.endswith(ending)), key=lambda name: rates[name])
        require(
            residue["cseflow"] < residue[peer],
            f"{residue['cseflow']:.0f} pieces of residue, {peer} leaves {residue[peer]:.0f}",
        )
        yield compared(
            claim,
            {"peer": samples[peer], "cseflow": samples["cseflow"]},
            peer=peer,
            unit="MB of XML/s",
            at_least=1,
            notes={
                "MB/s": rates,
                "pieces of residue in a million characters": residue,
                "million characters": {name: len(text) / 1e6 for name, text in texts.items()},
            },
            libraries=["gensim", "wikiextractor", "mwparserfromhell", "sentencex", "py3langid"],
        )


if __name__ == "__main__":
    main(__doc__, measure)
