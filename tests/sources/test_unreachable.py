"""A source whose server is away is no bad source: the stage's exit status says that it may succeed later."""

import os
import shutil
from pathlib import Path

import httpx
import pytest
from ruamel.yaml import YAML

from components.errors import UnreachableError, exit_on_error
from components.sources.__main__ import main
from components.sources.hub import fetch_hub
from components.sources.wheel import fetch_wheel
from tests.project import REPOSITORY
from tests.tracking.server import free_port


def test_the_stage_says_that_it_may_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(REPOSITORY / "profiles", tmp_path / "profiles")
    yaml = YAML()
    params = yaml.load(REPOSITORY / "params.yaml")
    params["sources"]["away"] = {"uri": f"https://127.0.0.1:{free_port()}/a.txt"}
    yaml.dump(params, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["sources", "away"])
    with pytest.raises(SystemExit) as ended, exit_on_error(unreachable=os.EX_TEMPFAIL):
        main()
    assert ended.value.code == os.EX_TEMPFAIL
    assert "error: sources.away: https://" in capsys.readouterr().err


def test_an_index_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(UnreachableError, match=r"cargo==1\.0"):
        fetch_wheel("cargo==1.0", tmp_path)


def test_a_hub_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: object, **__: object) -> str:
        try:
            raise httpx.ConnectError("refused")
        except httpx.ConnectError as error:
            raise FileNotFoundError("not in the cache, and the hub is away") from error

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)  # its own tries take half a minute
    with pytest.raises(UnreachableError, match="the hub did not give it"):
        fetch_hub("hf://datasets/lab/pairs@main/pairs.csv", tmp_path)
