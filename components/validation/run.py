"""Great Expectations at work: a kind of data set in, a report and its page out. No file, server or statistics."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import great_expectations as gx
from great_expectations.core import ExpectationValidationResult
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)

from components.config import Params
from components.files import file_digest
from components.validation import corpus, docs, sts, tuples
from components.validation.report import Outcome, Report
from components.validation.suite import Suite


class Kind(NamedTuple):
    """A kind of data set: the files that its suites read, and the suites, made one at a time to keep memory low."""

    files: Callable[[Params], list[Path]]
    suites: Callable[[Params], Iterator[Suite]]


KINDS = {
    "corpus": Kind(corpus.files, corpus.suites),
    "sts": Kind(sts.files, sts.suites),
    "tuples": Kind(tuples.files, tuples.suites),
}


def validate(kind: str, params: Params) -> tuple[Report, str]:
    """Hold the data of one of `KINDS` against its suites; writes nothing.

    Returns:
        The report, and the same as a page of data docs, HTML.

    Raises:
        DataError: a file is missing or unreadable.
    """
    data = {path.as_posix(): file_digest(path, "md5") for path in KINDS[kind].files(params) if path.is_file()}
    outcomes: list[Outcome] = []
    tables: dict[str, str] = {}
    for suite in KINDS[kind].suites(params):
        found, tables[suite.name] = _judge(suite, params.validation.sample)
        outcomes += found
        if suite.fatal and not all(outcome["passed"] for outcome in found):
            break
    passed = all(outcome["passed"] for outcome in outcomes)
    report = Report(kind=kind, passed=passed, data=data, expectations=outcomes)
    return report, docs.page(report, tables)


def _judge(suite: Suite, sample: int) -> tuple[list[Outcome], str]:
    context = gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(),
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False),
        ),
    )
    asset = context.data_sources.add_pandas("memory").add_dataframe_asset(suite.name)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": suite.frame})
    results = batch.validate(
        gx.ExpectationSuite(suite.name, expectations=suite.expectations),
        result_format={
            "result_format": "SUMMARY",
            "partial_unexpected_count": sample,
            "unexpected_index_column_names": suite.shown,
        },
    ).results
    described = {str(result["expectation_config"]["description"]): result for result in results}
    results = [described[str(each.description)] for each in suite.expectations]  # the suite's order, which results lose
    outcomes = [_outcome(suite.name, result, sample) for result in results]
    return outcomes, docs.table(results, [outcome["sample"] for outcome in outcomes])


OBSERVED = ("observed_value", "element_count", "unexpected_count", "unexpected_percent")


def _outcome(suite: str, result: ExpectationValidationResult, sample: int) -> Outcome:
    told: dict[str, Any] = result.to_json_dict()
    config, found = told["expectation_config"], told["result"]
    observed = {key: found[key] for key in OBSERVED if key in found}
    if not found:
        observed["exception"] = _exception(told["exception_info"])
    rows = found.get("partial_unexpected_index_list") or found.get("partial_unexpected_list") or []
    return Outcome(
        suite=suite,
        expectation=config["description"],
        type=config["type"],
        kwargs={key: value for key, value in sorted(config["kwargs"].items()) if key != "batch_id"},
        passed=bool(told["success"]),
        observed=observed,
        sample=rows[:sample],
    )


def _exception(info: dict[str, Any]) -> str:
    single = info.get("exception_message")
    return str(single or next((each["exception_message"] for each in info.values() if isinstance(each, dict)), ""))
