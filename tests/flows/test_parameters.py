"""What Prefect's form offers and refuses."""

import os
import subprocess
import sys

from prefect.utilities.callables import parameter_schema

from components.config import load_params
from components.config.training import Training
from flows.experiment import seeds_of
from flows.parameters import TrainingOverrides
from flows.train import train
from tests.project import REPOSITORY


def test_overrides_know_every_key_of_the_section() -> None:
    assert TrainingOverrides.model_fields.keys() == Training.model_fields.keys()


def test_overrides_keep_the_bounds_of_the_section() -> None:
    schema = TrainingOverrides.model_json_schema()["properties"]["batch_size"]
    assert {"type": "integer", "minimum": 2} in schema["anyOf"]


def test_nothing_overridden_is_nothing_replaced() -> None:
    assert TrainingOverrides(batch_size=4).model_dump(exclude_unset=True) == {"batch_size": 4}


def test_a_seed_that_is_named_twice_runs_once() -> None:
    assert seeds_of(load_params(REPOSITORY / "params.yaml"), "simcse", [1, 0, 1]) == [1, 0]


def test_every_parameter_is_described() -> None:
    assert all("description" in each for each in parameter_schema(train.fn).properties.values())


def test_flows_are_imported_where_there_is_no_params_yaml(tmp_path: os.PathLike[str]) -> None:
    code = "from flows.parameters import variants; assert variants() == []"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False).returncode == 0
