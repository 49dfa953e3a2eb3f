"""`python -m components.graph`: the DVC stage `plan`, which writes what each other stage is made from."""

import argparse
import sys

from components.config import load_params
from components.errors import exit_on_error
from components.files import folder_written_whole
from components.graph.plan import PLANS, STAGES, Demand, plan_file, plan_of, plan_text


def main() -> None:
    argparse.ArgumentParser(
        prog="python -m components.graph",
        description="write what each stage of dvc.yaml reads: parameters, code, pins of sources",
    ).parse_args()
    params = load_params()
    demand = Demand.of(params)
    plans = {stage: plan_of(stage, params, demand) for stage in STAGES}
    with folder_written_whole(PLANS) as aside:
        for stage, plan in plans.items():
            (aside / plan_file(stage).name).write_text(plan_text(plan), encoding="utf-8")
    idle = [stage for stage, plan in plans.items() if not plan]
    if idle:
        sys.stdout.write(f"no variant of experiment.variants needs what is made by {', '.join(idle)}: left empty\n")


if __name__ == "__main__":
    with exit_on_error():
        main()
