"""`python -m components.validation KIND`: the DVC stage that lets a data set pass or stops the pipeline.

Passing writes data/validation/KIND.json and KIND.html, the stage's outs. Failing shows the expectation with sample
rows, writes KIND.failed.json and KIND.failed.html in their place and exits with status 1, so DVC goes no further and
dvc.lock keeps this stage's entry for the data that passed last. The bad data stay to be looked at; no report lets
training use them. The good ones are still in DVC's cache, with their report: `git checkout dvc.lock && dvc checkout`
brings back the version last committed.
"""

import argparse
import json
import sys

from components.config import load_params
from components.errors import DataError, exit_on_error
from components.validation.report import Report, write_report
from components.validation.run import KINDS, validate


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m components.validation", description="let a data set pass, or not")
    parser.add_argument("kind", choices=KINDS)
    kind = parser.parse_args().kind
    report, page = validate(kind, load_params())
    path = write_report(report, page)
    look = path.with_suffix(".html")
    if not report["passed"]:
        failed = _shown(report)
        raise DataError(
            f"the {kind} data failed {failed} of {len(report['expectations'])} expectations (see {look}); "
            "mend them or params.yaml and run `dvc repro`, or take back the last good ones: "
            "git checkout dvc.lock && dvc checkout"
        )
    sys.stdout.write(
        f"{path}: the {kind} data passed all {len(report['expectations'])} expectations; to look at: {look}\n"
    )


def _shown(report: Report) -> int:
    """Write each failing expectation with its sample rows to stderr; returns how many failed."""
    failed = [outcome for outcome in report["expectations"] if not outcome["passed"]]
    for outcome in failed:
        seen = outcome["observed"]
        if "unexpected_count" in seen:
            observed = f"{seen['unexpected_count']} of {seen['element_count']} rows are against it"
        else:
            observed = f"found: {seen.get('observed_value', seen.get('exception'))}"
        sys.stderr.write(f"failed: {outcome['suite']}: {outcome['expectation']} ({observed})\n")
        for row in outcome["sample"]:
            sys.stderr.write(f"    {json.dumps(row, ensure_ascii=False)}\n")
    return len(failed)


if __name__ == "__main__":
    with exit_on_error():
        main()
