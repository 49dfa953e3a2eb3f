"""`cseflow up` with MLflow's and Prefect's own authentication, as docs/deployments.md offers it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from ruamel.yaml import YAML

from tests.e2e.conftest import Project, copied
from tests.tracking.server import free_port

pytestmark = pytest.mark.e2e
SECRET = "a-long-secret-2357"  # MLflow takes none of fewer than 12 characters
ACCOUNTS = """[mlflow]
default_permission = READ
database_uri = sqlite:///{folder}/accounts.db
admin_username = me
admin_password = {secret}
"""


def write_accounts(folder: Path, secret: str) -> str:
    """The path of MLflow's settings of accounts."""
    settings = folder / "mlflow-auth.ini"
    settings.write_text(ACCOUNTS.format(folder=folder, secret=secret))
    return str(settings)


@pytest.fixture(scope="module")
def site(made: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose servers ask for a password, which its environment has."""
    folder, outside = copied(made, tmp_path_factory.mktemp("site")).folder, tmp_path_factory.mktemp("home")
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    params["variants"] = {name: params["variants"][name] for name in ("untrained", "simcse")}
    params["experiment"]["variants"] = ["simcse"]
    yaml.dump(params, folder / "params.yaml")
    site = Project(
        folder,
        {
            "PREFECT_SERVER_API_AUTH_STRING": f"me:{SECRET}",
            "PREFECT_API_AUTH_STRING": f"me:{SECRET}",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "long-and-random",
            "MLFLOW_AUTH_CONFIG_PATH": write_accounts(outside, SECRET),
            "MLFLOW_TRACKING_USERNAME": "me",
            "MLFLOW_TRACKING_PASSWORD": SECRET,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        },
    )
    try:
        done = up(site)
        assert done.returncode == 0, done.stdout + done.stderr
        yield site
    finally:
        assert site.run("cseflow", "down").returncode == 0


def up(site: Project, **environment: str) -> subprocess.CompletedProcess[str]:
    ports = ("--prefect-port", str(free_port()), "--mlflow-port", str(free_port()))
    return site.run("cseflow", "up", "--gpus", "0", *ports, **environment)


def url_of(site: Project, server: str) -> str:
    return str(json.loads((site.folder / ".state/servers.json").read_text())[server]["url"])


@pytest.mark.parametrize(
    ("server", "path"),
    [("prefect", "/api/deployments/filter"), ("mlflow", "/api/2.0/mlflow/experiments/search")],
)
def test_a_server_answers_to_the_password_alone(site: Project, server: str, path: str) -> None:
    def status(auth: tuple[str, str] | None) -> int:
        body = {"max_results": 1} if server == "mlflow" else {}
        return httpx.post(url_of(site, server) + path, json=body, auth=auth, timeout=60).status_code

    assert [status(None), status(("me", "wrong")), status(("me", SECRET))] == [401, 401, 200]


def test_a_worker_trains_with_it_and_no_file_holds_it(site: Project) -> None:
    done = site.run("prefect", "deployment", "run", "train/simcse", "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = site.folder.glob("runs/simcse-seed0-*/delivery.json")
    found = httpx.get(
        f"{url_of(site, 'mlflow')}/api/2.0/mlflow/runs/get",
        params={"run_id": json.loads(run.read_text())["run_id"]},
        auth=("me", SECRET),
        timeout=60,
    )
    assert found.json()["run"]["info"]["status"] == "FINISHED"
    assert not holding(site.folder, SECRET)
    assert not [text for text in site.printed if SECRET in text]


def test_a_server_that_ends_at_once_says_why(site: Project, tmp_path: Path) -> None:
    assert site.run("cseflow", "down").returncode == 0
    done = up(site, MLFLOW_AUTH_CONFIG_PATH=write_accounts(tmp_path, "short"))
    assert done.returncode == 1
    assert "mlflow ended at once: see .state/logs/mlflow.log (" in done.stderr
    assert "Password must be at least 12 characters" in done.stderr and "short" not in done.stderr


def holding(folder: Path, secret: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
