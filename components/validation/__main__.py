"""`python -m components.validation KIND`: the DVC stage that lets a data set pass or stops the pipeline.

Passing writes data/validation/KIND.json and KIND.html, the stage's outs. Failing shows the expectation with sample
rows, writes KIND.failed.json and KIND.failed.html in their place and exits with status 1, so DVC goes no further and
dvc.lock keeps this stage's entry for the data that passed last. The bad data stay to be looked at; no report lets
training use them. The good ones are still in DVC's cache, with their report: `git checkout dvc.lock && dvc checkout`
brings back the version last committed.

With `--accept`, data that pass but for their drift become what later versions are held against: `drift` says how.
"""

import argparse
import json
import sys

from components.config import Params, load_params
from components.errors import DataError, exit_on_error
from components.validation.drift import baseline_path, read_baseline, write_baseline
from components.validation.report import Report, write_report
from components.validation.run import KINDS, validate


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m components.validation", description="let a data set pass, or not")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--accept", action="store_true", help="hold later versions against what these data look like")
    chosen, params = parser.parse_args(), load_params()
    if chosen.accept:
        _accept(chosen.kind, params)
        return
    baseline = baseline_path(params.profile, chosen.kind)
    report, page = validate(chosen.kind, params, accepted=read_baseline(baseline))
    path = write_report(report, page)
    _require(report, f"see {path.with_suffix('.html')}")
    if not report["data"]:
        sys.stdout.write(f"{path}: this profile has no {chosen.kind} data to judge\n")
        return
    unjudged = "" if report["baseline"] or not report["profiles"] else f" (but drift: there is no {baseline} yet)"
    sys.stdout.write(
        f"{path}: the {chosen.kind} data passed all {len(report['expectations'])} expectations{unjudged}; to look at: "
        f"{path.with_suffix('.html')}\n"
    )


def _accept(kind: str, params: Params) -> None:
    report, _ = validate(kind, params)
    if not report["profiles"]:
        raise DataError(f"drift is not judged for the {kind} data, so there is nothing to accept")
    _require(report, "no drift was looked at")
    path = baseline_path(params.profile, kind)
    write_baseline(path, report["profiles"])
    sys.stdout.write(f"{path}: later {kind} data are held against these; next: git add {path} && dvc repro\n")


def _require(report: Report, see: str) -> None:
    """Raise DataError where data failed, after writing each failing expectation with its sample rows to stderr."""
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
    if failed:
        kind = report["kind"]
        drifted = any("accepted version" in outcome["expectation"] for outcome in failed)
        accept = f", accept what has drifted (python -m components.validation {kind} --accept)" if drifted else ""
        raise DataError(
            f"the {kind} data failed {len(failed)} of {len(report['expectations'])} expectations ({see}); "
            f"mend them or params.yaml and run `dvc repro`{accept}, or take back the last good ones: "
            "git checkout dvc.lock && dvc checkout"
        )


if __name__ == "__main__":
    with exit_on_error():
        main()
