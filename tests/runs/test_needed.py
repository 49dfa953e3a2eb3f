"""What a run needs to have passed, and that it does not begin without."""

from pathlib import Path

import pytest

from components.config import load_params
from components.errors import DataError
from components.files import file_digest
from components.runs.run import Run
from components.validation.report import Report, write_report
from tests.project import make_project

SHARD = Path("data/views/train/word_repetition/part-00000.parquet")


def passes(kind: str, files: list[Path]) -> Path:
    data = {file.as_posix(): file_digest(file, "md5") for file in files}
    return write_report(Report(kind=kind, passed=True, data=data, baseline=None, expectations=[], profiles={}), "")


@pytest.fixture
def run(tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Of a variant that trains on views and tuples, where all that it needs has passed."""
    make_project(tmp_path, tiny_encoder)
    monkeypatch.chdir(tmp_path)
    run = Run(load_params(), "cse-mix", 0, {"batch_size": 32})
    for kind, files in run.needed.items():
        passes(kind, files)
    return run


def test_a_run_needs_every_kind_of_data_that_it_uses(run: Run) -> None:
    assert list(run.needed) == ["corpus", "sts", "tuples", "views"]
    assert SHARD in run.needed["views"] and Path("data/tuples/sts.parquet") in run.needed["tuples"]


def test_nli_triplets_are_a_kind_of_their_own(run: Run) -> None:
    variant = run.params.variants["simcse-sup"]
    part = variant.data[0].model_copy(update={"set": "nli"})
    variants = {"simcse-sup": variant.model_copy(update={"data": [part]})}
    own = Run(run.params.model_copy(update={"variants": variants}), "simcse-sup", 0, {})
    assert own.needed["nli"] == [Path("data/nli/train.parquet")]
    assert list(own.needed) == ["nli", "sts"]


@pytest.mark.parametrize("kind", ["corpus", "sts", "tuples", "views"])
def test_a_run_does_not_begin_without_the_report_on_a_kind(run: Run, kind: str) -> None:
    Path(f"data/validation/{kind}.json").unlink()
    with pytest.raises(DataError, match=f"the {kind} data have no validation report"):
        run.execute()
    assert not Path("runs").exists()


def test_a_run_does_not_begin_on_another_version_of_a_view(run: Run) -> None:
    SHARD.write_bytes(SHARD.read_bytes() + b" ")
    with pytest.raises(DataError, match=f"belongs to another version of {SHARD}"):
        run.execute()


def test_a_run_does_not_begin_on_a_view_that_was_not_judged(run: Run) -> None:
    passes("views", [file for file in run.needed["views"] if file != SHARD])
    with pytest.raises(DataError, match=f"says nothing of {SHARD}"):
        run.execute()
