"""Libraries of which more is used than they document are held below the release after the one that is tested."""

import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.project import REPOSITORY

# torch: mkldnn's packed weights, foreach, elastic's signals; transformers: what a Trainer saves, samples and loads;
# great-expectations: its renderers; py3langid: its tables; mlflow: what saves a folder as it is.
HELD = ("torch", "transformers", "great-expectations", "py3langid", "mlflow")


@pytest.mark.parametrize("name", HELD)
def test_the_upper_bound_is_what_is_tested(name: str) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    (bounds,) = (found.specifier for each in project["dependencies"] if (found := Requirement(each)).name == name)
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    (tested,) = (Version(line.partition("==")[2].split()[0]) for line in lines if line.startswith(f"{name}=="))
    after = f"{tested.major}.{tested.minor + 1}"
    assert (tested in bounds, Version(after) in bounds) == (True, False)
