"""The stage from a source to two splits and a summary."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.config import load_params
from components.corpus import __main__ as stage
from components.corpus.small import shortfalls
from components.errors import DataError

Run = Callable[..., dict[str, Any]]
WORDS = ["river", "house", "king", "queen", "book", "water", "fire", "garden", "mountain", "letter", "winter", "music"]


def sentences(count: int, seed: int = 0) -> list[str]:
    chance = random.Random(seed)
    return ["The {} and the {} were near the {} of the old {}.".format(*chance.sample(WORDS, 4)) for _ in range(count)]


@pytest.fixture(scope="module")
def lines() -> bytes:
    return "\n".join(dict.fromkeys(sentences(600))).encode()


def test_rows_carry_number_text_and_page(run: Run, export: Callable[..., bytes], page: Callable[..., str]) -> None:
    text = " ".join(sentences(40)[:40])
    made = run("dump.xml", export(page("Äther", text)))
    assert [row["id"] for row in made["rows"]] == list(range(len(made["rows"])))
    assert {row["page"] for row in made["rows"]} == {"Äther"}
    assert all(row["text"] in text for row in made["rows"])


def test_plain_text_has_no_page_and_is_filtered_alike(run: Run, lines: bytes) -> None:
    made = run("lines.txt", lines + b"\n\nnot a sentence at all\n")
    assert {row["page"] for row in made["rows"]} == {None}
    assert made["summary"]["dropped"] == {"fragment": 1, "length": 1}


def test_the_splits_part_the_sentences_at_the_set_share(run: Run, lines: bytes) -> None:
    made = run("lines.txt", lines, heldout=0.25)
    assert not {row["text"] for row in made["train"]} & {row["text"] for row in made["heldout"]}
    assert len(made["heldout"]) / len(made["rows"]) == pytest.approx(0.25, abs=0.05)  # 3 s.d. of 600 draws


def test_duplicates_are_told_apart_from_case_and_blanks(run: Run, lines: bytes) -> None:
    first = lines.split(b"\n")[0]
    made = run("lines.txt", lines + b"\n" + first.upper().replace(b" ", b"  "))
    assert made["summary"]["dropped"] == {"duplicate": 1}


def test_duplicates_may_be_kept(run: Run, lines: bytes) -> None:
    first = lines.split(b"\n")[0]
    made = run("lines.txt", lines + b"\n" + first, unique=False)
    assert made["summary"]["dropped"] == {} and made["texts"].count(first.decode()) == 2
    assert [row["id"] for row in made["rows"]] == list(range(len(lines.split(b"\n")) + 1))


def test_a_sample_is_as_large_as_asked_and_in_order(run: Run, lines: bytes) -> None:
    everything = run("lines.txt", lines)["texts"]
    made = run("lines.txt", lines, max_sentences=100)
    assert len(made["texts"]) == 100
    assert made["texts"] == [text for text in everything if text in set(made["texts"])]
    assert made["texts"] != everything[:100]


def test_the_same_seed_gives_the_same_bytes(run: Run, lines: bytes, tmp_path: Path) -> None:
    made = []
    for _ in range(2):
        run("lines.txt", lines, max_sentences=300)
        made.append([path.read_bytes() for path in sorted((tmp_path / "corpus").iterdir())])
    assert made[0] == made[1]


def test_another_seed_gives_another_split(run: Run, lines: bytes) -> None:
    assert run("lines.txt", lines, seed=0)["heldout"] != run("lines.txt", lines, seed=1)["heldout"]


def test_the_workers_give_what_one_process_gives(
    run: Run, export: Callable[..., bytes], page: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = export(*(page(f"Page {i}", " ".join(sentences(30, seed=i))) for i in range(20)))
    alone = run("dump.xml", dump)
    monkeypatch.setattr("components.corpus.cleaning.CHUNK", 5_000)
    assert run("dump.xml", dump) == alone


def test_the_summary_accounts_for_every_page_and_sentence(
    run: Run, export: Callable[..., bytes], page: Callable[..., str]
) -> None:
    text = " ".join(sentences(60)) + " It is {{unknown}} in the house. Too short."
    summary = run("dump.xml", export(page("A", text), page("B", "#REDIRECT [[A]]", redirect="A")))["summary"]
    assert summary["pages"] == {"kept": 1, "redirect": 1, "seen": 2}
    assert summary["dropped"]["gap"] == summary["dropped"]["length"] == 1
    assert summary["sentences"]["seen"] == summary["sentences"]["kept"] + sum(summary["dropped"].values())


def test_one_heldout_sentence_is_too_few_and_the_key_is_named(run: Run) -> None:
    with pytest.raises(DataError, match=r"0 held-out sentences, and 2 of each is the least: .*corpus\.heldout"):
        run("lines.txt", "\n".join(sentences(4)).encode())


def test_a_small_corpus_is_told_all_that_it_falls_short_of() -> None:
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    told = list(shortfalls(params, sentences(40)))
    assert [clause.split(" ")[0] for clause in told] == [
        "validation.corpus.min_rows",
        "training.batch_size",
        "synthesis.tuples.nli",
        "synthesis.tuples.sts",
        "validation.tuples.min_rows",
    ]


@pytest.mark.parametrize("content", [b"", b"<mediawiki></mediawiki>", b"no sentence\n"])
def test_an_empty_corpus_is_an_error_that_names_the_file(run: Run, content: bytes) -> None:
    with pytest.raises(DataError, match=r"source\.x gives 0 training and 0 held-out sentences"):
        run("source.x", content)


def test_a_failure_leaves_the_last_good_data(run: Run, lines: bytes, tmp_path: Path) -> None:
    run("lines.txt", lines)
    before = {path: path.read_bytes() for path in (tmp_path / "corpus").iterdir()}
    with pytest.raises(DataError):
        run("dump.bz2", b"BZh9 broken")
    assert {path: path.read_bytes() for path in (tmp_path / "corpus").iterdir()} == before


def test_datasets_reads_the_splits(run: Run, lines: bytes, tmp_path: Path) -> None:
    from datasets import Dataset

    made = run("lines.txt", lines)
    read = Dataset.from_parquet(str(tmp_path / "corpus/train.parquet"), cache_dir=str(tmp_path / "cache"))
    assert read.to_list() == made["train"]


@pytest.mark.parametrize(
    ("written", "read"), [("&#xD83D;&#xDE00;", "😀"), ("&#55357;&#56832;", "😀"), ("&#xD83D;", "")]
)
def test_references_to_surrogates_are_repaired(
    run: Run, export: Callable[..., bytes], page: Callable[..., str], written: str, read: str
) -> None:
    text = f"{' '.join(sentences(30))} The old king was near the river{written} with the queen."
    made = run("dump.xml", export(page("A", text)))
    assert f"The old king was near the river{read} with the queen." in made["texts"]


STALLING = {
    "templates": "{{a|" * 12_800,
    "table rows": "{|\n|-\n| a || b\n" * 3000,
    "tags": "<b><i>" * 5000,
    "links": "[http://x " * 6000,
    "cut tags": "<div class='" * 3000,
    "crossing": "{{a|[[b|}} ]] " * 3000,
    "size": "word " * 1_000_000,
}


@pytest.mark.parametrize("text", STALLING.values(), ids=STALLING)
def test_a_page_that_would_stall_the_dump_is_left_out_and_named(
    run: Run, export: Callable[..., bytes], page: Callable[..., str], text: str
) -> None:
    begun = time.process_time()
    made = run("dump.xml", export(page("Good", " ".join(sentences(30))), page("Bad", text)))
    assert made["summary"]["dropped"]["costly"] == 1
    assert made["summary"]["costly"] == ["Bad"]
    assert {row["page"] for row in made["rows"]} == {"Good"}
    assert time.process_time() - begun < 3


@pytest.mark.parametrize("text", ["x. y. " * 60_000, "(" + "{{x}} " * 10_000, "A" + "b" * 900_000 + " c d e f."])
def test_a_long_paragraph_takes_time_by_its_length(
    run: Run, export: Callable[..., bytes], page: Callable[..., str], text: str
) -> None:
    begun = time.process_time()
    run("dump.xml", export(page("A", " ".join(sentences(30)) + "\n\n" + text)))
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("size", ["-3", "0", "many", "²"])
def test_a_sample_of_no_size_is_one_sentence(size: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("sys.argv", ["corpus", "--sample", size])
    with pytest.raises(SystemExit):
        stage.main()
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"{size!r} is not a number of sentences, 1 or more")
