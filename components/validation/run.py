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
from components.validation import corpus, docs, drift, nli, sets, sts, tuples, views
from components.validation.report import Outcome, Report
from components.validation.suite import Suite


class Kind(NamedTuple):
    """A kind of data set: the files that its suites read, and the suites, made one at a time to keep memory low."""

    files: Callable[[Params], list[Path]]
    suites: Callable[[Params], Iterator[Suite]]


KINDS = {
    "corpus": Kind(corpus.files, corpus.suites),
    "views": Kind(views.files, views.suites),
    "sts": Kind(sts.files, sts.suites),
    "nli": Kind(nli.files, nli.suites),
    "tuples": Kind(tuples.files, tuples.suites),
    "sets": Kind(sets.files, sets.suites),
}


def validate(kind: str, params: Params, *, accepted: drift.Profiles | None = None) -> tuple[Report, str]:
    """Hold the data of one of `KINDS` against its suites; writes nothing.

    Args:
        accepted: what the version that was accepted last looks like; None leaves drift unjudged.

    Returns:
        The report, and the same as a page of data docs, HTML.

    Raises:
        DataError: a file is missing or unreadable.
    """
    data = {path.as_posix(): file_digest(path, "md5") for path in KINDS[kind].files(params) if path.is_file()}
    outcomes: list[Outcome] = []
    tables: dict[str, str] = {}
    profiles: drift.Profiles = {}
    formal: set[str] = set()
    for suite in KINDS[kind].suites(params):
        if suite.watched:
            profiles[suite.name] = drift.profile(suite)
            if accepted is not None and suite.name in accepted:
                suite = drift.watched(suite, accepted[suite.name], params.validation.drift)
        found, tables[suite.name] = _judge(suite, params.validation.sample)
        outcomes += found
        if suite.fatal:
            formal.add(suite.name)
        if suite.fatal and not all(outcome["passed"] for outcome in found):
            break
    passed = all(outcome["passed"] for outcome in outcomes)
    baseline = None if accepted is None else drift.baseline_path(params.profile, kind).as_posix()
    report = Report(kind=kind, passed=passed, data=data, baseline=baseline, expectations=outcomes, profiles=profiles)
    return report, docs.page(report, tables, formal)


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
    return outcomes, docs.table(results, outcomes)


OBSERVED = ("observed_value", "element_count", "unexpected_count", "unexpected_percent")


def _outcome(suite: str, result: ExpectationValidationResult, sample: int) -> Outcome:
    told: dict[str, Any] = result.to_json_dict()
    config, found = told["expectation_config"], told["result"]
    observed = {key: found[key] for key in OBSERVED if key in found}
    if "details" in found and "observed_partition" in found["details"]:
        partition = found["details"]["observed_partition"]
        observed["shares"] = dict(zip(partition["values"], partition["weights"], strict=True))
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
