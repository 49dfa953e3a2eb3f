"""STS data: whatever layout a source has, in one schema (`python -m components.evaluation` is DVC's stage `sts`)."""

import gzip
import json
import logging
import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components import paths
from components.errors import DataError
from components.files import folder_written_whole
from components.text import well_formed

log = logging.getLogger(__name__)
DEV = "STSB-dev"  # picks checkpoints, and stands for "unseen" in the geometry
TRAIN = "STSB-train"  # gives the synthesis its exemplars; measures nothing
SPLITS = {DEV: ("sts-dev.csv", "dev|validation"), TRAIN: ("sts-train.csv", "train")}  # of STS-B: its name, the hub's
SUBSETS = re.compile(r"STS1[2-6]")  # tasks made of several sets
SCHEMA = pa.schema([("first", pa.string()), ("second", pa.string()), ("score", pa.float64())])
LOWEST, HIGHEST = {"SICKR": 1.0}, 5.0  # of scores: similarity goes from 0 to 5, relatedness from 1 to 5
SICK_PAIRS = 9927  # train, trial and test together

Row = tuple[str, str, float, str]  # first, second, score, subset


@dataclass(frozen=True)
class StsPairs:
    """Sentence pairs with gold scores as given: 0 to 5, for SICK-R 1 to 5; shape of `score` (pairs,)."""

    first: list[str]
    second: list[str]
    score: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.first)


def load_sts(task: str, folder: Path = paths.STS) -> StsPairs:
    """Read what the stage `sts` made of `task` (STS12 … STS16, STSB, STSB-dev, SICKR).

    Raises:
        DataError: there is no such file, or it is none of the stage's.
    """
    path = folder / f"{task}.parquet"
    if not path.is_file():
        raise DataError(f"{path} is missing; name the task under evaluation.sts in params.yaml and run `dvc repro`")
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


def write_sts(tasks: Mapping[str, Path], folder: Path = paths.STS) -> dict[str, int]:
    """Write `folder` whole: one Parquet file per task, from the folder of its source, and STS-B's dev split.

    STS-B's train split, where its source has it, becomes train/STSB.parquet, apart from what is measured on.

    Returns:
        How many pairs each file holds.

    Raises:
        DataError: as `read_sts`; what stood at `folder` is left as it was.
    """
    wanted = dict(tasks) | {DEV: tasks["STSB"]}
    if sts_files(TRAIN, tasks["STSB"]):
        wanted[TRAIN] = tasks["STSB"]
    with folder_written_whole(folder) as aside:
        counts = {}
        for task, source in wanted.items():
            table = read_table(task, source)
            path = aside / (paths.STS_TRAIN.relative_to(paths.STS) if task == TRAIN else f"{task}.parquet")
            path.parent.mkdir(exist_ok=True)
            pq.write_table(table, path, compression="zstd")
            counts[task] = table.num_rows
            if task == "SICKR" and table.num_rows == SICK_PAIRS:
                log.warning(
                    "%s holds all of SICK, %d pairs; published figures are of its test split, 4,927 pairs",
                    source,
                    SICK_PAIRS,
                )
    return counts


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
    return _parquet(path) if path.suffix == ".parquet" else _json_lines(path)


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
    for endings in ((".parquet",), (".jsonl", ".jsonl.gz")):  # where both are there, they hold the same
        files = [path for path in folder.rglob("*") if path.name.endswith(endings) and path.is_file()]
        if chosen := sorted(path for path in files if named.fullmatch(path.relative_to(folder).as_posix())):
            return chosen
    return []


def _json_lines(path: Path) -> Iterator[Row]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for line, text in enumerate(lines, 1):
                yield _record(json.loads(text), path, line)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {line}: no JSON object ({error.msg})") from None
    except RecursionError:
        raise DataError(f"{path}, line {line}: JSON nested too deep") from None
    except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is broken or truncated: {error}") from None


def _parquet(path: Path) -> Iterator[Row]:
    try:
        records = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is broken or truncated: {' '.join(str(error).split())}") from None
    for line, record in enumerate(records, 1):
        yield _record(record, path, line)


def _record(record: Mapping[str, object], path: Path, line: int) -> Row:
    try:
        first, second, score = (record[name] for name in ("sentence1", "sentence2", "score"))
    except (KeyError, TypeError):
        there = f"; it has {', '.join(record)}" if isinstance(record, Mapping) else ""
        raise DataError(
            f"{path}, row {line}: the fields sentence1, sentence2 and score are not all there{there}"
        ) from None
    for name, text in (("sentence1", first), ("sentence2", second)):
        if not isinstance(text, str):
            raise DataError(
                f"{path}, row {line}: {name} is {json.dumps(text, default=str)}, not a text; remove the row"
            )
    return _text(str(first)), _text(str(second)), _score(score, path, line), ""


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
