"""A view and a variant that uses it, by params.yaml alone: made by real DVC, trained."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from tests.e2e.conftest import Project, copied

pytestmark = pytest.mark.e2e


def test_a_view_and_its_variant_are_entries_of_params_yaml(made: Project, tmp_path: Path) -> None:
    project = copied(made, tmp_path / "project")
    yaml, file = YAML(), project.folder / "params.yaml"
    params = yaml.load(file)
    params["augmentation"]["views"]["heavy"] = {"kind": "word_repetition", "rate": 0.6}
    params["variants"]["heavy-repetition"] = {
        "description": "a positive of which more words are said twice",
        "data": [{"set": "corpus", "roles": {"anchor": "identity", "positive": "heavy"}}],
        "objective": [{"term": "info_nce", "temperature": 0.05}],
    }
    yaml.dump(params, file)
    repro = project.run("dvc", "repro")
    assert repro.returncode == 0, repro.stdout[-2000:] + repro.stderr[-2000:]
    view = pq.read_table(next((project.folder / "data/views/train").glob("heavy*")))  # type: ignore[no-untyped-call]
    train = project.run("cseflow", "train", "heavy-repetition")
    assert train.returncode == 0, train.stdout[-2000:] + train.stderr[-4000:]
    assert view.num_rows and list(project.folder.glob("runs/heavy-repetition-seed*/encoder/model.safetensors"))
