"""A folder of many dump files: the same sentences as one file gives, whoever has cleaned which."""

import gzip
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from components.config.corpus import Corpus
from components.corpus.build import build
from components.corpus.shards import Shard, files_of, shards_of
from components.errors import DataError

SETTINGS = Corpus(min_words=3, max_sentences=150)
TEXT = "The {} was near the river. It was the house of the {} king.\n\nThe old queen gave a book to the child."


@pytest.fixture
def source(tmp_path: Path, export: Callable[..., bytes], page: Callable[..., str]) -> Path:
    """A folder of eleven dumps, some packed, with sentences that occur in several."""
    folder = tmp_path / "dumps"
    folder.mkdir()
    for number in range(1, 12):
        pages = [page(f"P{number} {k}", TEXT.format(f"w{number}x{k % 9}", k)) for k in range(12)]
        name, content = f"dump{number}.xml-p{number}", export(*pages)
        if number % 2:
            (folder / name).write_bytes(content)
        else:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
    return folder


@pytest.fixture
def whole(tmp_path: Path, source: Path, export: Callable[..., bytes], page: Callable[..., str]) -> Path:
    """One dump with all their pages."""
    pages = [page(f"P{number} {k}", TEXT.format(f"w{number}x{k % 9}", k)) for number in range(1, 12) for k in range(12)]
    path = tmp_path / "whole.xml"
    path.write_bytes(export(*pages))
    return path


def made(source: Path, into: Path) -> dict[str, bytes]:
    build(source, into, SETTINGS, 0)
    return {path.name: path.read_bytes() for path in into.iterdir()}


def make(shard: Shard) -> None:
    shard.make(cores=1, progress=False)


def test_files_stand_in_the_order_of_their_numbers(source: Path) -> None:
    assert [path.name.partition(".")[0] for path in files_of(source)] == [f"dump{n}" for n in range(1, 12)]


def test_many_files_give_the_bytes_of_one(source: Path, whole: Path, tmp_path: Path) -> None:
    assert made(source, tmp_path / "many") == made(whole, tmp_path / "one")


def test_shards_made_elsewhere_are_used_and_give_the_same_bytes(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = made(source, tmp_path / "alone")
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(make, reversed(shards_of(source, tmp_path / "shared", SETTINGS, 0))))
    monkeypatch.delattr("components.corpus.shards.clean_all")
    assert made(source, tmp_path / "shared") == expected


def test_a_broken_file_is_named_and_what_is_done_stays_done(source: Path, tmp_path: Path) -> None:
    last = source / "dump11.xml-p11"
    content = last.read_bytes()
    last.write_bytes(content[:-200])
    with pytest.raises(DataError, match="dump11"):
        build(source, tmp_path / "corpus", SETTINGS, 0)
    last.write_bytes(content)
    done = [shard.path.exists() for shard in shards_of(source, tmp_path / "corpus", SETTINGS, 0)]
    assert done == [True] * 10 + [False]


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no file"):
        files_of(tmp_path)
