"""Pages of a MediaWiki export, or lines of plain text, streamed from a file that may be compressed."""

import bz2
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from lxml import etree

from components.errors import DataError
from components.progress import Progress

LINE = 1 << 24  # bytes; a longer line of plain text is skipped
REDIRECT = re.compile(r"\s*#redirect\b", re.IGNORECASE)  # exports before 0.6 have no <redirect/>


class Page(NamedTuple):
    """A wiki page, or a line of plain text, which has no title and is no markup."""

    title: str | None
    text: str
    media: frozenset[str] = frozenset()  # lower-case names of the wiki's file and category namespaces


class Skipped(NamedTuple):
    """A page that is no article, and why: `namespace`, `redirect`, `empty` or `oversized`."""

    reason: str


# tqdm's wrapper reads like a file, but is not typed as one.
COMPRESSED: dict[str, Callable[[Any], Any]] = {".bz2": bz2.open, ".gz": gzip.open, "": lambda content: content}


def read_pages(
    path: Path, form: Literal["auto", "mediawiki", "text"] = "auto", *, progress: bool = True
) -> Iterator[Page | Skipped]:
    """Stream `path` (.bz2, multistream too, .gz or plain), with a progress bar over its bytes if wanted.

    `auto` tells the form by the first character: `<` opens an export, and no sentence. Text is in UTF-8.

    Raises:
        DataError: the file is missing, truncated, corrupt or not of the form; its text names the file.
    """
    anew = "delete it and run `dvc repro fetch`, or check sources.corpus and corpus.format in params.yaml"
    if not path.is_file():
        raise DataError(f"{path} is missing; run `dvc repro fetch`, which brings what sources.corpus names")
    try:
        size, name, hidden = path.stat().st_size, path.name, not progress
        with path.open("rb") as raw, Progress.wrapattr(raw, "read", total=size, desc=name, disable=hidden) as seen:
            content = io.BufferedReader(COMPRESSED.get(path.suffix, COMPRESSED[""])(seen))
            head = content.peek(4096)
            if form == "text" or (form == "auto" and head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"<"):
                yield from _text(path, content)
            elif b"<mediawiki" in head:
                yield from _mediawiki(content)
            else:
                raise DataError(f"{path} is not a MediaWiki export: it does not begin with <mediawiki>; {anew}")
    except etree.XMLSyntaxError as error:
        raise DataError(f"{path} is not a valid MediaWiki export, or truncated ({error.msg}); {anew}") from None
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(f"{path} is truncated or corrupt ({error}); {anew}") from None


def _text(path: Path, content: IO[bytes]) -> Iterator[Page | Skipped]:
    number = 0
    while line := content.readline(LINE):
        number += 1
        if not line.endswith(b"\n") and len(line) == LINE:
            while (rest := content.readline(LINE)) and not rest.endswith(b"\n"):
                pass
            yield Skipped("oversized")
            continue
        try:
            yield Page(None, line.decode("utf-8-sig").strip())
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}, line {number}: neither a MediaWiki export nor UTF-8 text ({error.reason}, byte {error.start}"
                "); convert it to UTF-8, for example by iconv"
            ) from None


def _mediawiki(content: IO[bytes]) -> Iterator[Page | Skipped]:
    """Pages in the export's order; memory holds one at a time."""
    names: dict[str, str] = {}
    media = frozenset({"file", "image", "media", "category"})
    parser = etree.iterparse(
        content,
        tag=("{*}namespace", "{*}page"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=True,
    )
    for _, element in parser:
        if etree.QName(element).localname == "namespace":
            names[element.get("key", "")] = (element.text or "").lower()
            media |= {names[key] for key in ("-2", "6", "14") if names.get(key)}
            continue
        yield _page(element, names, media)
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]


def _page(element: etree._Element, names: dict[str, str], media: frozenset[str]) -> Page | Skipped:
    title = element.findtext("{*}title") or ""
    texts = element.findall("{*}revision/{*}text")
    text = (texts[-1].text if texts else None) or ""
    namespace = element.findtext("{*}ns")
    if namespace is None:  # exports before 0.6 leave it to the title
        prefix = title.partition(":")[0].lower()
        namespace = next((key for key, name in names.items() if name and name == prefix), "0")
    if namespace != "0":
        return Skipped("namespace")
    if element.find("{*}redirect") is not None or REDIRECT.match(text):
        return Skipped("redirect")
    return Page(title, text, media) if text.strip() else Skipped("empty")
