"""A MediaWiki export of one's own, and the stage run on it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow.parquet as pq
import pytest

from components.config.corpus import Corpus
from components.corpus.build import build

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
  <siteinfo><namespaces>
    <namespace key="0" case="first-letter" />
    <namespace key="1" case="first-letter">Talk</namespace>
    <namespace key="6" case="first-letter">Bild</namespace>
    <namespace key="14" case="first-letter">Category</namespace>
  </namespaces></siteinfo>
"""


def page_xml(title: str, text: str, ns: int = 0, redirect: str = "") -> str:
    moved = f'<redirect title="{redirect}" />' if redirect else ""
    revision = f"<revision><text>{escape(text)}</text></revision>"
    return f"<page><title>{escape(title)}</title><ns>{ns}</ns>{moved}{revision}</page>\n"


@pytest.fixture
def page() -> Callable[..., str]:
    """`page(title, text, ns=0, redirect="")` is a page's XML."""
    return page_xml


@pytest.fixture
def export() -> Callable[..., bytes]:
    """`export(page, …)` is the export of pages given as XML, or as wikitext."""

    def make(*pages: str) -> bytes:
        xml = [each if each.startswith("<page>") else page_xml(f"P{i}", each) for i, each in enumerate(pages)]
        return f"{HEAD}{''.join(xml)}</mediawiki>\n".encode()

    return make


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """`run(file name, bytes, seed=0, **settings)` runs the stage; train and heldout rows and the summary."""

    def make(name: str, content: bytes, seed: int = 0, **settings: Any) -> dict[str, Any]:
        (tmp_path / name).write_bytes(content)
        summary = build(tmp_path / name, tmp_path / "corpus", Corpus(**{"min_words": 5, **settings}), seed)
        splits = {
            split: pq.read_table(tmp_path / f"corpus/{split}.parquet").to_pylist() for split in ("train", "heldout")
        }
        rows = sorted(splits["train"] + splits["heldout"], key=lambda row: row["id"])
        return {**splits, "rows": rows, "texts": [row["text"] for row in rows], "summary": summary}

    return make
