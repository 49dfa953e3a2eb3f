"""What prefect.yaml deploys.

`prefect deploy` refuses a deployment whose work pool is missing, and does so before any of its build steps; what comes
earlier is that it loads the flow. So it is here that a fresh server gets the pools.
"""

import os

from flows.compare import compare
from flows.data import data
from flows.experiment import experiment
from flows.promote import promote
from flows.train import train

if "PREFECT__FLOW_RUN_ID" not in os.environ:  # a worker loads this too
    from flows.setup import make_pools

    make_pools()

__all__ = ["compare", "data", "experiment", "promote", "train"]
