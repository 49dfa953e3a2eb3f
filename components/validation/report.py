"""Reports: data/validation/KIND.json and .html for data that passed, KIND.failed.* for data that did not."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypedDict

from components.errors import CseflowError, DataError
from components.files import file_digest, written_whole
from components.paths import VALIDATION


class Outcome(TypedDict):
    """One expectation and how the data met it."""

    suite: str
    expectation: str  # in words
    type: str  # Great Expectations' name
    kwargs: dict[str, Any]
    passed: bool
    observed: dict[str, Any]
    sample: list[Any]  # rows that do not meet it, at most validation.sample


class Report(TypedDict):
    """A verdict on one version of the data; the same data and thresholds give the same bytes."""

    kind: str
    passed: bool
    data: dict[str, str]  # path → md5, as dvc.lock has it
    baseline: str | None  # what drift was judged by, if it was
    expectations: list[Outcome]
    profiles: dict[str, Any]  # suite → what its data look like as a whole, for `--accept`


def require_passed(kind: str, files: Iterable[Path | str] = ()) -> dict[str, str]:
    """Go on only if the data set of this kind, as it lies on disk now, has passed its suite.

    Args:
        kind: `corpus`, `sts`, …: the report's name.
        files: what is about to be used; each must be among the files that the report judged.

    Returns:
        path → md5 of every file that the suite read.

    Raises:
        DataError: the report is missing, failed, or belongs to another version of the data; the text says which.
    """
    path = VALIDATION / f"{kind}.json"
    again = f"run `dvc repro validate@{kind}`"
    if not path.is_file():
        aside = failed_report(kind)
        if aside.is_file():
            raise DataError(f"the {kind} data failed validation: {_failures(_read(aside, again))} (see {aside})")
        raise DataError(f"the {kind} data have no validation report ({path} is missing); {again}")
    report = _read(path, again)
    if report["passed"] is not True:
        raise DataError(f"the {kind} data failed validation: {_failures(report)} (see {path})")
    for name, digest in report["data"].items():
        if not Path(name).is_file():
            raise DataError(f"{name} is missing, which {path} speaks of; run `dvc checkout` or `dvc repro`")
        if file_digest(name, "md5") != digest:
            raise DataError(f"{path} belongs to another version of {name}; {again}")
    judged = {Path(name).resolve() for name in report["data"]}
    for file in files:
        if Path(file).resolve() not in judged:
            raise DataError(f"{path} says nothing of {file}; {again}")
    return report["data"]


def passed(kinds: Iterable[str]) -> dict[str, bool]:
    """kind → whether its data, as they lie on disk now, have passed; what can't be told has not."""
    verdicts = {}
    for kind in kinds:
        try:
            require_passed(kind)
            verdicts[kind] = True
        except CseflowError:
            verdicts[kind] = False
    return verdicts


def write_report(report: Report, page: str) -> Path:
    """Write the report, and its page beside it, under the name of its verdict; remove what the other verdict said.

    A failing report never bears the passing one's name, so no passing report outlives stricter thresholds.

    Returns:
        The report's path.
    """
    kind = report["kind"]
    path, other = VALIDATION / f"{kind}.json", failed_report(kind)
    if not report["passed"]:
        path, other = other, path
    other.unlink(missing_ok=True)
    other.with_suffix(".html").unlink(missing_ok=True)
    with written_whole(path.with_suffix(".html")) as aside:
        aside.write_text(page, encoding="utf-8")
    with written_whole(path) as aside:
        aside.write_text(json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return path


def report_files(kind: str) -> list[Path]:
    """The report that there is, passing or failed, and its page; empty without one."""
    path = VALIDATION / f"{kind}.json"
    found = path if path.is_file() else failed_report(kind)
    return [file for file in (found, found.with_suffix(".html")) if file.is_file()]


def failed_report(kind: str) -> Path:
    """Where the report on data that failed lies: beside DVC's out, so that DVC takes no failure for a result."""
    return VALIDATION / f"{kind}.failed.json"


def _read(path: Path, again: str) -> Report:
    try:
        report: Report = json.loads(path.read_text(encoding="utf-8"))
        if not {"passed", "data", "expectations"} <= set(report):
            raise ValueError("keys are missing")
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is no validation report ({error}); {again}") from None
    return report


def _failures(report: Report) -> str:
    failed = [
        f"{outcome['suite']}: {outcome['expectation']}" for outcome in report["expectations"] if not outcome["passed"]
    ]
    return "; ".join(failed[:3]) + (f"; {len(failed) - 3} more" if len(failed) > 3 else "")
