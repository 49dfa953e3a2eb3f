"""Whose Prefect server a run goes to, and what it needs of one."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flows.orchestration import MARK
from tests.project import REPOSITORY
from tests.tracking.server import free_port

pytestmark = pytest.mark.slow

ASK = "from flows.orchestration import tracked; import sys; sys.stdout.write(str(tracked()))"
DEAD = "http://127.0.0.1:9"  # where no proxy listens
CLI = "from flows.cli import main; main(sys.argv[1:])"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home, beside an empty folder to work in."""
    (tmp_path / "work").mkdir()
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def python(home: Path, code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in the folder beside `home`, with no setting of Prefect's but those given."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    own = {"HOME": str(home), "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    command = [sys.executable, "-c", f"import sys; {code}", *arguments]
    return subprocess.run(
        command, cwd=home.parent / "work", env=kept | own, capture_output=True, text=True, check=False, timeout=120
    )


def with_profile(home: Path, url: str) -> None:
    """What `prefect config set PREFECT_API_URL=…` leaves behind."""
    (home / ".prefect").mkdir()
    (home / ".prefect/profiles.toml").write_text(
        f'active = "mine"\n\n[profiles.mine]\nPREFECT_API_URL = "{url}"\nPREFECT_API_KEY = "pnu_none"\n'
    )


def test_help_leaves_nothing_behind(home: Path) -> None:
    assert python(home, CLI, "--help").returncode == 0
    assert not list(home.iterdir()) and not list((home.parent / "work").iterdir())


def test_importing_the_flows_neither_writes_nor_imports_prefect(home: Path) -> None:
    modules = [path.stem for path in (REPOSITORY / "flows").glob("*.py") if path.stem not in ("__init__", "setup")]
    code = f"import {', '.join(f'flows.{name}' for name in modules)}; assert 'prefect' not in sys.modules"
    done = python(home, code)
    assert done.returncode == 0, done.stderr
    assert not list((home.parent / "work").iterdir()) and not (home / ".prefect").exists()


def test_without_any_setting_flows_run_by_themselves(home: Path) -> None:
    done = python(home, f"{ASK}; assert 'prefect' not in sys.modules")
    assert (done.returncode, done.stdout) == (0, "False"), done.stderr


def test_an_unreachable_server_is_one_sentence(home: Path) -> None:
    port = free_port()
    with_profile(home, f"http://127.0.0.1:{port}/api")
    for name in ("params.yaml", "prefect.yaml"):
        (home.parent / "work" / name).touch()
    done = python(home, CLI, "deploy")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: no Prefect server answers at http://127.0.0.1:{port}/api (")


class Health(BaseHTTPRequestHandler):
    """What of a Prefect server answers whether it is there."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()
        self.wfile.write(b"true")

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_profiles_server_is_the_one_that_counts(home: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/api"
        with_profile(home, url)
        asked = f"{ASK}; from flows.orchestration import api_url; sys.stdout.write(api_url())"
        done = python(home, asked, http_proxy=DEAD, HTTP_PROXY=DEAD, no_proxy="", NO_PROXY="")  # as firms have it
        server.shutdown()
    assert done.stdout == f"True{url}", done.stderr


def test_a_server_of_ours_that_is_gone_is_done_without(home: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/api"
    (home.parent / "work/prefect.toml").write_text(f'{MARK}[api]\nurl = "{url}"\n')
    done = python(home, ASK)
    assert done.stdout == "False"
    (line,) = done.stderr.splitlines()
    assert f"the Prefect server that `make up` started at {url} is gone: going on without it" in line


OUTSIDE = ["up", "deploy", "status", "down", "deliver", "rollback", "experiment", "train simcse"]
OUTSIDE += ["sweep simcse --set training.learning_rate=1e-5,3e-5", "compare champion", "promote champion", "push a/b"]


@pytest.mark.parametrize("command", map(str.split, OUTSIDE), ids=OUTSIDE)
def test_outside_of_a_project_a_command_says_how_to_begin(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows.cli import main

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "params.yaml" in line and line.endswith("clone the repository of cseflow and run `make install` in it")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["up", "--prefect-port", "99999"], "a port is a whole number from 1 to 65535, not '99999'"),
        (["train", "simcse", "--seed", "-1"], "a seed is a whole number from 0 to 4294967295, not '-1'"),
        (["experiment", "--seeds", "0,a"], "a seed is a whole number from 0 to 4294967295, not 'a'"),
    ],
)
def test_a_number_out_of_range_is_refused(command: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    from flows.cli import main

    with pytest.raises(SystemExit):
        main(command)
    assert what in capsys.readouterr().err
