"""`cseflow up` with MLflow's and Prefect's own authentication, as docs/deployments.md offers it."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from ruamel.yaml import YAML

from tests.e2e.conftest import Project, copied
from tests.tracking.server import free_port

pytestmark = pytest.mark.e2e
SECRET = "secret-2357"
ACCOUNTS = """[mlflow]
default_permission = READ
database_uri = sqlite:///{folder}/accounts.db
admin_username = me
admin_password = {secret}
"""


@pytest.fixture(scope="module")
def site(made: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose servers ask for a password, which its environment has."""
    folder, outside = copied(made, tmp_path_factory.mktemp("site")).folder, tmp_path_factory.mktemp("home")
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    params["variants"] = {name: params["variants"][name] for name in ("untrained", "simcse")}
    params["experiment"]["variants"] = ["simcse"]
    yaml.dump(params, folder / "params.yaml")
    accounts = outside / "mlflow-auth.ini"
    accounts.write_text(ACCOUNTS.format(folder=outside, secret=SECRET))
    site = Project(
        folder,
        {
            "PREFECT_SERVER_API_AUTH_STRING": f"me:{SECRET}",
            "PREFECT_API_AUTH_STRING": f"me:{SECRET}",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "long-and-random",
            "MLFLOW_AUTH_CONFIG_PATH": str(accounts),
            "MLFLOW_TRACKING_USERNAME": "me",
            "MLFLOW_TRACKING_PASSWORD": SECRET,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        },
    )
    try:
        done = site.run(
            *("cseflow", "up", "--gpus", "0", "--prefect-port", str(free_port()), "--mlflow-port", str(free_port()))
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield site
    finally:
        assert site.run("cseflow", "down").returncode == 0


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


def holding(folder: Path, secret: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
