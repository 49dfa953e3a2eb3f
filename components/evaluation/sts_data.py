"""STS data: whatever layout a source has, in one schema (`python -m components.evaluation` is DVC's stage `sts`)."""

import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components import paths
from components.config.evaluation import STSB_DEV, Evaluation, ScoredPairs
from components.errors import DataError
from components.files import folder_written_whole
from components.tables import Row as TableRow
from components.tables import ending, read_rows, table_rows
from components.text import well_formed

log = logging.getLogger(__name__)
TRAIN = "STSB-train"  # gives the synthesis its exemplars; measures nothing
SPLITS = {STSB_DEV: ("sts-dev.csv", "dev|validation"), TRAIN: ("sts-train.csv", "train")}  # STS-B's name, the hub's
SUBSETS = re.compile(r"STS1[2-6]")  # tasks made of several sets
SCHEMA = pa.schema([("first", pa.string()), ("second", pa.string()), ("score", pa.float64())])
LOWEST, HIGHEST = {"SICKR": 1.0}, 5.0  # of scores: similarity goes from 0 to 5, relatedness from 1 to 5
HUB_COLUMNS = ("sentence1", "sentence2", "score")  # of mteb's data sets
SICK_PAIRS = 9927  # train, trial and test together

Row = tuple[str, str, float, str]  # first, second, score, subset


@dataclass(frozen=True)
class StsPairs:
    """Sentence pairs with gold scores: 0 to 5, for SICK-R as given, 1 to 5; shape of `score` (pairs,)."""

    first: list[str]
    second: list[str]
    score: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.first)


def load_sts(task: str, folder: Path = paths.STS) -> StsPairs:
    """Read what the stage `sts` made of `task` (STS12 … STS16, STSB, STSB-dev, SICKR, one of evaluation.tasks).

    Raises:
        DataError: there is no such file, or it is none of the stage's.
    """
    path = folder / f"{task}.parquet"
    if not path.is_file():
        raise DataError(f"{path} is missing; name the task in section evaluation of params.yaml and run `dvc repro`")
    try:
        return _pairs(pq.read_table(path, columns=SCHEMA.names))
    except (pa.ArrowInvalid, KeyError) as error:
        raise DataError(f"{path} is broken ({error}); remove it and run `dvc repro`") from None


def read_sts(task: str, folder: Path) -> StsPairs:
    """Read `task` from a source: STS-B's own folder, SentEval's (at any depth that SentEval uses), or a hub snapshot.

    In STS12 to STS16 the subsets follow each other by name (the `all` setting).

    Raises:
        DataError: an unknown layout, an empty set, scores on another scale than 0 to 5, or a line that can't be read,
            by file and line.
    """
    return _pairs(read_table(task, folder))


def read_table(task: str, folder: Path) -> pa.Table:
    """As `read_sts`, as an Arrow table with the columns first, second, score, and for STS12 to STS16 also subset."""
    files = sts_files(task, folder)
    if not files:
        found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) if folder.is_dir() else "nothing"
        raise DataError(f"{folder} has no layout known for {task} (STS-B's, SentEval's or the hub's); it holds {found}")
    rows: list[Row] = []
    for path in files:
        own = list(_rows(path))
        _check_scale(task, path, [row[2] for row in own])
        rows += own
    if not rows:
        raise DataError(f"{files[0]} holds no scored pair for {task}; it is truncated, or not what the source says")
    first, second, score, subset = zip(*rows, strict=True)
    table = pa.table([first, second, score], schema=SCHEMA)
    return table.append_column("subset", pa.array(subset, pa.string())) if SUBSETS.fullmatch(task) else table


def sts_files(task: str, folder: Path) -> list[Path]:
    """The files of `task` in a source's folder, one per subset; none where the layout is unknown."""
    if SUBSETS.fullmatch(task):
        year, wanted = f"{task}-en-test", "STS.input.*.txt"
        places = senteval_places(folder, f"STS/{year}", year)
    elif task == "SICKR":
        wanted = "SICK_test_annotated.txt"
        places = senteval_places(folder, "SICK")
    else:
        wanted, _ = SPLITS.get(task, ("sts-test.csv", "test"))
        places = senteval_places(folder, "STS/STSBenchmark", "STSBenchmark")
    for place in places:
        if files := sorted(path for path in place.glob(wanted) if path.name != "STS.input.ALL.txt"):
            return files
    _, split = SPLITS.get(task, ("", "test"))
    return _hub_files(folder, split)


def read_own(name: str, task: ScoredPairs, folder: Path) -> pa.Table:
    """Read the task `name` of evaluation.tasks from its source's folder, its scores mapped from its scale onto 0 to 5.

    Raises:
        DataError: the table is missing, broken or empty, a text is empty, or a score is no number or off the scale; by
            file and line.
    """
    key = f"evaluation.tasks.{name}"
    columns = [task.columns[role] for role in ("first", "second", "score")]
    lowest, highest = task.scale
    pairs: list[tuple[str, str, float]] = []
    for row in table_rows(key, task, folder):
        first, second = (_text(row.text(column)) for column in columns[:2])
        for column, text in zip(columns, (first, second), strict=False):
            if not text:
                raise DataError(f"{row.place}: {column} is empty; remove the row")
        score = row.number_in(columns[2])
        if score is None:
            raise DataError(f"{row.place}: {columns[2]} is empty, not a score; remove the row")
        if not lowest <= score <= highest:
            raise DataError(
                f"{row.place}: the score {score:g} is not from {lowest:g} to {highest:g}; set {key}.scale in "
                "params.yaml to the lowest and highest score, or remove the row"
            )
        pairs.append((first, second, (score - lowest) * (HIGHEST / (highest - lowest))))
    if len({score for _, _, score in pairs}) < 2:
        raise DataError(
            f"{row.path}: all {len(pairs):,} scores are equal, so there is no order to agree with; see {key}"
        )
    first_texts, second_texts, scores = zip(*pairs, strict=True)
    return pa.table([first_texts, second_texts, scores], schema=SCHEMA)


def write_sts(evaluation: Evaluation, sources: Path = paths.SOURCES, folder: Path = paths.STS) -> dict[str, int]:
    """Write `folder` whole: one Parquet file per task of `evaluation`, the dev task among them.

    STS-B's train split, where its source has it, becomes train/STSB.parquet, apart from what is measured on.

    Args:
        sources: the folder of all fetched sources.

    Returns:
        How many pairs each file holds.

    Raises:
        DataError: as `read_sts` and `read_own`, or the dev task is part of a judged one; what stood at `folder` is left
            as it was.
    """
    places = {str(task): sources / source for task, source in evaluation.sts.items()}
    if evaluation.dev == STSB_DEV:
        places[STSB_DEV] = places["STSB"]
    if "STSB" in places and sts_files(TRAIN, places["STSB"]):
        places[TRAIN] = places["STSB"]
    tables = {task: read_table(task, place) for task, place in places.items()}
    tables |= {name: read_own(name, task, sources / task.source) for name, task in evaluation.tasks.items()}
    _require_apart(tables, evaluation)
    with folder_written_whole(folder) as aside:
        counts = {}
        for task, table in tables.items():
            path = aside / (paths.STS_TRAIN.relative_to(paths.STS) if task == TRAIN else f"{task}.parquet")
            path.parent.mkdir(exist_ok=True)
            pq.write_table(table, path, compression="zstd")
            counts[task] = table.num_rows
            if task == "SICKR" and table.num_rows == SICK_PAIRS:
                log.warning(
                    "%s holds all of SICK, %d pairs; published figures are of its test split, 4,927 pairs",
                    places[task],
                    SICK_PAIRS,
                )
    return counts


def _require_apart(tables: Mapping[str, pa.Table], evaluation: Evaluation) -> None:
    """Raise DataError where each pair of the dev task is judged on: dev picks and test judges."""

    def pairs(task: str) -> set[tuple[str, str, float]]:
        return set(zip(*(tables[task][name].to_pylist() for name in SCHEMA.names), strict=True))

    dev = pairs(evaluation.dev)
    for task in evaluation.judged:
        if tables[task].num_rows >= len(dev) and dev <= pairs(task):
            raise DataError(
                f"evaluation.dev: each of the {len(dev):,} pairs of {evaluation.dev} is also one of {task}, which is "
                "judged on; dev picks and test judges, so give one of them another file, split or source in params.yaml"
            )


def lines_of(path: Path, encoding: str = "utf-8-sig") -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of every line; only a line feed ends one, unlike in str.splitlines.

    Raises:
        DataError: the file is missing, or not in `encoding`.
    """
    try:
        content = path.read_bytes()
        text = content.decode(encoding)
    except FileNotFoundError:
        raise DataError(f"{path} is missing") from None
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        name = encoding.removesuffix("-sig").upper()
        raise DataError(
            f"{path}, line {line}: not {name} ({error.reason}); convert it, for example by iconv -f latin1 -t utf-8"
        ) from None
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return ((number, line.removesuffix("\r")) for number, line in enumerate(lines, 1))


def _pairs(table: pa.Table) -> StsPairs:
    first, second, score = (table[name] for name in SCHEMA.names)
    return StsPairs(first.to_pylist(), second.to_pylist(), score.to_numpy().astype(np.float64))


def senteval_places(folder: Path, *inner: str) -> Iterator[Path]:
    """Where data of SentEval may lie: in `folder` itself, or in one of `inner` below what SentEval calls its data."""
    yield folder
    for around in ("", "downstream", "data/downstream"):
        for name in inner:
            yield folder / around / name


def _rows(path: Path) -> Iterator[Row]:
    if path.name.startswith("STS.input."):
        return _senteval_subset(path)
    if path.name.startswith("SICK"):
        return _columns(path, first=1, second=2, score=3, header=True)
    if path.suffix == ".csv":
        return _columns(path, first=5, second=6, score=4)
    return (_hub_row(row) for row in read_rows([path], HUB_COLUMNS, "evaluation.sts"))


def _hub_row(row: TableRow) -> Row:
    first, second = (row.text(name) for name in HUB_COLUMNS[:2])
    score = row.number_in("score")
    if not first or not second or score is None:
        raise DataError(f"{row.place}: sentence1, sentence2 or score is empty; remove the row")
    return _text(first), _text(second), score, ""


def _senteval_subset(inputs: Path) -> Iterator[Row]:
    subset = inputs.name.removeprefix("STS.input.").removesuffix(".txt")
    golds = inputs.with_name(f"STS.gs.{subset}.txt")
    texts, scores = list(lines_of(inputs)), list(lines_of(golds))
    if len(texts) != len(scores):
        raise DataError(f"{inputs} has {len(texts)} lines and {golds.name} {len(scores)}; one of them is truncated")
    for (line, text), (_, score) in zip(texts, scores, strict=True):
        if not score.strip():
            continue  # STS15 and STS16 leave pairs without a gold score
        fields = text.split("\t")
        if len(fields) < 2:
            raise DataError(f"{inputs}, line {line}: no two sentences parted by a tab")
        yield _text(fields[0]), _text(fields[1]), _score(score, golds, line), subset


def _columns(path: Path, *, first: int, second: int, score: int, header: bool = False) -> Iterator[Row]:
    """Tab-separated columns; quotation marks are part of the text."""
    most = max(first, second, score)
    for line, text in lines_of(path):
        if (header and line == 1) or not text.strip():
            continue
        fields = text.split("\t")
        if len(fields) <= most:
            raise DataError(f"{path}, line {line}: {len(fields)} columns, where a tab parts at least {most + 1}")
        yield _text(fields[first]), _text(fields[second]), _score(fields[score], path, line), ""


def _hub_files(folder: Path, split: str) -> list[Path]:
    """Files of a hub snapshot by their split's name: test.jsonl.gz, data/test-00000-of-00001.parquet, …"""
    named = re.compile(rf"(.*[-_./])?({split})[-_./].*")
    for kind in (".parquet", ".jsonl"):  # where both are there, they hold the same
        files = [path for path in folder.rglob("*") if ending(path) == kind and path.is_file()]
        if chosen := sorted(path for path in files if named.fullmatch(path.relative_to(folder).as_posix())):
            return chosen
    return []


def _text(text: str) -> str:
    """A sentence with single spaces, as SentEval reads it."""
    return " ".join(well_formed(text).split())


def _check_scale(task: str, path: Path, scores: Sequence[float]) -> None:
    """Refuse scores that are not on the task's scale.

    Raises:
        DataError: a score is off the scale, or all are within 0 and 1.
    """
    lowest = LOWEST.get(task, 0.0)
    for number, score in enumerate(scores, 1):
        if not lowest <= score <= HIGHEST:
            raise DataError(
                f"{path}, scored pair {number}: the score {score:g} is not on the scale of {task}, {lowest:g} to "
                f"{HIGHEST:g}; rescale the source, or remove pairs without a true score"
            )
    if scores and max(scores) <= 1:
        raise DataError(
            f"{path}: all {len(scores):,} scores are within 0 and 1, and {task} is scored from {lowest:g} to "
            f"{HIGHEST:g}; rescale the source"
        )


def _score(value: object, path: Path, line: int) -> float:
    try:
        score = float(str(value))
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise DataError(f"{path}, line {line}: the score {value!r} is no number")
    return score
