"""Prefect and MLflow on PostgreSQL, artifacts and DVC's remote on S3: docs/scale.md, tried for real.

Not run by default: `pytest -m stores`. Needs PostgreSQL's server (Debian: postgresql) and an S3 server, s3rver
(`npm install s3rver`), on the PATH or named by S3RVER.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.tracking.server import free_port, until

pytestmark = pytest.mark.stores
KEYS = {"AWS_ACCESS_KEY_ID": "S3RVER", "AWS_SECRET_ACCESS_KEY": "S3RVER", "AWS_DEFAULT_REGION": "us-east-1"}
# Checksums in a trailer, boto3's default, are not for every server.
KEYS |= {"AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required"}


@contextmanager
def running(*command: str, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def answers(url: str, server: subprocess.Popen[bytes]) -> bool:
    assert server.poll() is None, f"{url} ended before it answered"
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """HOST:PORT of a server with data bases mlflow and prefect, whose user `cseflow` needs no password on loopback."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL under /usr/lib/postgresql")
    tools = found[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="cseflow-postgres-"))
    # The server refuses to run as root.
    user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if user:
        shutil.chown(folder, "postgres")
    port = free_port()
    cluster = str(folder / "cluster")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"

    def tool(name: str, *arguments: str) -> None:
        subprocess.run([*user, str(tools / name), *arguments], check=True, cwd=folder, stdout=subprocess.DEVNULL)

    try:
        tool("initdb", "-D", cluster, "-U", "cseflow", "--auth=trust", "-E", "UTF8")
        tool("pg_ctl", "-D", cluster, "-o", options, "-l", str(folder / "log"), "-w", "start")
        for name in ("mlflow", "prefect"):
            tool("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "cseflow", name)
        yield f"127.0.0.1:{port}"
        tool("pg_ctl", "-D", cluster, "-m", "fast", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of an S3 server with buckets `artifacts` and `data`."""
    program = os.environ.get("S3RVER") or shutil.which("s3rver")
    if program is None:
        pytest.skip("no s3rver on the PATH")
    folder, port = tmp_path_factory.mktemp("s3"), free_port()
    buckets = ["--configure-bucket", "artifacts", "--configure-bucket", "data"]
    command = [program, "--directory", str(folder), "--address", "127.0.0.1", "--port", str(port), *buckets]
    with running(*command, log=folder / "log"):
        until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        yield f"http://127.0.0.1:{port}"


def listing(s3: str, bucket: str) -> set[str]:
    import boto3

    names = {"aws_access_key_id": "S3RVER", "aws_secret_access_key": "S3RVER", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=s3, **names)
    return {entry["Key"] for entry in client.list_objects_v2(Bucket=bucket).get("Contents", [])}


def rows(postgres: str, base: str, query: str) -> list[tuple[object, ...]]:
    import psycopg2

    host, port = postgres.split(":")
    with (
        psycopg2.connect(host=host, port=port, user="cseflow", dbname=base) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(query)
        return list(cursor.fetchall())


def test_a_run_its_artifacts_and_its_model_go_to_postgresql_and_s3(
    postgres: str, s3: str, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    from components.tracking import registry
    from components.tracking.delivery import deliver
    from components.tracking.journal import Journal

    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"postgresql+psycopg2://cseflow@{postgres}/mlflow"]
    command += ["--artifacts-destination", "s3://artifacts"]
    own = {"MLFLOW_S3_ENDPOINT_URL": s3, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **KEYS}
    uri = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with running(*command, log=tmp_path / "mlflow.log", **own) as server:
        until(lambda: answers(f"{uri}/health", server), seconds=400)
        (tmp_path / "note.txt").write_text("kept")
        shutil.copytree(tiny_encoder, tmp_path / "run/encoder")
        with Journal(tmp_path / "run") as journal:
            journal.start("simcse seed 0", "stores", tags={"cse.variant": "simcse"}, params={"seed": 0})
            journal.metrics({"sts/STSB": 80.0}, 1)
            journal.artifact(tmp_path / "note.txt")
            journal.model(tmp_path / "run/encoder")
            journal.finish()
        delivered = deliver(tmp_path / "run")
        assert delivered.complete and delivered.refused == 0 and delivered.run_id is not None
        registry.promote("cse-encoder", delivered.run_id, report_markdown="passed")
        mlflow.set_tracking_uri(uri)
        champion = mlflow.sentence_transformers.load_model("models:/cse-encoder@champion")
        assert champion.encode("a cat sat").shape == (32,)
    assert rows(postgres, "mlflow", "select key, value from metrics where key = 'sts/STSB'") == [("sts/STSB", 80.0)]
    kept = listing(s3, "artifacts")
    assert any(key.endswith("note.txt") for key in kept)
    assert any(key.endswith("model.safetensors") for key in kept)


def test_a_flow_run_goes_to_postgresql(postgres: str, tmp_path: Path) -> None:
    port = free_port()
    own = {
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://cseflow@{postgres}/prefect",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with running(*command, log=tmp_path / "prefect.log", **own) as server:
        until(lambda: answers(f"http://127.0.0.1:{port}/api/health", server), seconds=400)
        code = "from prefect import flow; flow(lambda: 1, name='tried')()"
        client = {"PREFECT_HOME": str(tmp_path / "client"), "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
        subprocess.run([sys.executable, "-c", code], env=os.environ | client, check=True, timeout=240)
    query = "select state_type from flow_run join flow on flow.id = flow_run.flow_id where flow.name = 'tried'"
    assert rows(postgres, "prefect", query) == [("COMPLETED",)]


def test_data_go_to_s3_and_come_back(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for key, value in KEYS.items():
        monkeypatch.setenv(key, value)

    def dvc(*arguments: str) -> None:
        done = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]

    (tmp_path / "corpus").write_text("a cat sat\n" * 1000)
    dvc("init", "--no-scm", "-q")
    dvc("remote", "add", "--default", "store", "s3://data/dvc")
    dvc("remote", "modify", "store", "endpointurl", s3)
    dvc("add", "-q", "corpus")
    dvc("push", "-q")
    assert listing(s3, "data")
    (tmp_path / "corpus").unlink()
    shutil.rmtree(tmp_path / ".dvc/cache")
    dvc("pull", "-q")
    assert (tmp_path / "corpus").read_text() == "a cat sat\n" * 1000
