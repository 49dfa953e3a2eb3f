"""What is read of a dump or text, and how a broken one is told."""

import bz2
import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from components.corpus.dump import Page, Skipped, read_pages
from components.errors import DataError

Export = Callable[..., bytes]


def read(path: Path, content: bytes) -> list[Page | Skipped]:
    path.write_bytes(content)
    return list(read_pages(path))


def titles(pages: list[Page | Skipped]) -> list[str | None]:
    return [page.title for page in pages if isinstance(page, Page)]


@pytest.mark.parametrize(
    "name, pack", [("dump.xml", bytes), ("dump.xml.bz2", bz2.compress), ("dump.gz", gzip.compress)]
)
def test_an_export_may_be_compressed(tmp_path: Path, export: Export, name: str, pack: Callable[[bytes], bytes]) -> None:
    assert titles(read(tmp_path / name, pack(export("One text.", "Another text.")))) == ["P0", "P1"]


def test_an_export_may_be_many_bzip2_streams(tmp_path: Path, export: Export) -> None:
    content = export(*(f"Text {number}." for number in range(50)))
    streams = b"".join(bz2.compress(content[start : start + 500]) for start in range(0, len(content), 500))
    assert len(titles(read(tmp_path / "dump.bz2", streams))) == 50


def test_only_articles_are_read(tmp_path: Path, export: Export, page: Callable[..., str]) -> None:
    content = export(
        page("Kept", "Text."),
        page("Talk:Kept", "Talk.", ns=1),
        page("Moved", "#REDIRECT [[Kept]]", redirect="Kept"),
        page("Moved long ago", "#redirect [[Kept]]"),
        page("Blank", " "),
    )
    pages = read(tmp_path / "dump.xml", content)
    assert titles(pages) == ["Kept"]
    assert [each.reason for each in pages if isinstance(each, Skipped)] == [
        "namespace",
        "redirect",
        "redirect",
        "empty",
    ]


def test_old_exports_tell_the_namespace_by_the_title(tmp_path: Path, export: Export, page: Callable[..., str]) -> None:
    content = re.sub(rb"<ns>.*?</ns>", b"", export(page("Kept: a story", "Text."), page("Talk:Kept", "Talk.")))
    assert titles(read(tmp_path / "dump.xml", content)) == ["Kept: a story"]


def test_entities_of_a_file_are_not_read(tmp_path: Path, export: Export) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    entity = f'<!DOCTYPE mediawiki [<!ENTITY e SYSTEM "file://{tmp_path}/secret.txt">]>'.encode()
    pages = read(tmp_path / "dump.xml", entity + export("Text MARK.").replace(b"MARK", b"&e;"))
    assert "secret" not in str(pages)


@pytest.mark.parametrize("name, pack", [("dump.bz2", bz2.compress), ("dump.gz", gzip.compress), ("dump.xml", bytes)])
def test_a_truncated_dump_is_an_error(
    tmp_path: Path, export: Export, name: str, pack: Callable[[bytes], bytes]
) -> None:
    content = pack(export(*(f"Text {number}." for number in range(100))))
    with pytest.raises(DataError, match=rf"{re.escape(name)} is .*dvc repro fetch"):
        read(tmp_path / name, content[: len(content) // 2])


def test_a_dump_that_ends_between_two_streams_is_an_error(tmp_path: Path, export: Export) -> None:
    content = export("One text.", "Another text.")
    with pytest.raises(DataError, match="not a valid MediaWiki export"):
        read(tmp_path / "dump.bz2", bz2.compress(content[:-40]))


def test_a_corrupt_dump_is_an_error(tmp_path: Path, export: Export) -> None:
    content = bytearray(bz2.compress(export("One text.")))
    content[20:40] = bytes(20)
    with pytest.raises(DataError, match=r"dump\.bz2 is truncated or corrupt"):
        read(tmp_path / "dump.bz2", bytes(content))


def test_other_xml_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a MediaWiki export"):
        read(tmp_path / "page.xml", b"<html><body>Not found</body></html>")


def test_bytes_that_are_no_text_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither a MediaWiki export nor UTF-8 text"):
        read(tmp_path / "model.bin", b"\xff\xfe\x00" * 10)


def test_a_missing_dump_says_that_it_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is missing; run `dvc repro fetch`"):
        list(read_pages(tmp_path / "dump.bz2"))


def test_a_line_in_another_encoding_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lines\.txt, line 3: .*convert it to UTF-8"):
        read(tmp_path / "lines.txt", b"One line.\nAnother.\nCaf\xe9.\n")


def test_a_line_beyond_the_bound_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.corpus.dump.LINE", 16)
    pages = read(tmp_path / "lines.txt", b"Short.\n" + b"x" * 50 + b"\nNext.\n")
    assert pages == [Page(None, "Short."), Skipped("oversized"), Page(None, "Next.")]


@pytest.mark.parametrize("name, pack", [("lines.txt", bytes), ("lines.txt.bz2", bz2.compress), ("l.gz", gzip.compress)])
def test_text_is_a_sentence_a_line(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    pages = read(tmp_path / name, pack("One line.\nAnöther line.\r\n".encode()))
    assert pages == [Page(None, "One line."), Page(None, "Anöther line.")]
