"""Deployments on a real Prefect server with real workers: what `make up` starts, and what becomes of runs there."""

import json
import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from ruamel.yaml import YAML

from tests.e2e.conftest import BIN, Project, copied
from tests.tracking.server import free_port, until

pytestmark = pytest.mark.e2e
SPLITS = ("train", "heldout")
PATIENCE = 600.0  # seconds; a flow's process takes a few to start, on a busy machine many


@dataclass(frozen=True, kw_only=True)
class Site(Project):
    """A project with servers and workers of its own."""

    prefect_port: int
    mlflow_port: int
    client: httpx.Client

    def up(self) -> subprocess.CompletedProcess[str]:
        ports = ("--prefect-port", str(self.prefect_port), "--mlflow-port", str(self.mlflow_port))
        return self.run("cseflow", "up", *ports, "--gpus", "0", PREFECT_WORKER_QUERY_SECONDS="1")

    @property
    def mlflow_uri(self) -> str:
        return f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def pids(self) -> dict[str, int]:
        """Of what `up` started, by name."""
        recorded = json.loads((self.folder / ".state/servers.json").read_text())
        return {name: entry["pid"] for name, entry in recorded.items()}

    def api(self, path: str, **body: Any) -> Any:
        """What Prefect's API answers to a POST."""
        return self._asked("POST", path, json=body)

    def get(self, path: str) -> Any:
        return self._asked("GET", path)

    def _asked(self, method: str, path: str, **content: Any) -> Any:
        answers: list[httpx.Response] = []

        def answered() -> bool:  # 503 while SQLite is busy; Prefect's own client asks again too
            url = f"http://127.0.0.1:{self.prefect_port}/api/{path}"
            answers.append(self.client.request(method, url, **content))
            return answers[-1].status_code != 503

        until(answered, every=0.5)
        answers[-1].raise_for_status()
        return answers[-1].json()

    def submit(self, deployment: str, **parameters: Any) -> str:
        """The id of a new flow run of `deployment`."""
        there = self.get(f"deployments/name/{deployment}")["id"]
        return str(self.api(f"deployments/{there}/create_flow_run", parameters=parameters)["id"])

    def state(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"flow_runs/{run}")["state"]
        return found

    def wait(self, run: str, *names: str) -> dict[str, Any]:
        """The run's state, once it has one of `names`; it may crash before, and go on."""
        ends = {*names, "Completed", "Failed", "Cancelled"}
        until(lambda: self.state(run)["name"] in ends, PATIENCE, every=0.5)
        state = self.state(run)
        assert state["name"] in names, state
        return state

    def artifacts(self, run: str) -> dict[str, dict[str, Any]]:
        """By their keys, the newest of each."""
        wanted = {"flow_run_id": {"any_": [run]}}
        found = self.api("artifacts/filter", artifacts=wanted, sort="CREATED_DESC")
        return {each["key"]: each for each in reversed(found)}

    def folder_of(self, variant: str, seed: int) -> Path:
        """Of the training run, which must have one."""
        (found,) = self.folder.glob(f"runs/{variant}-seed{seed}-*")
        return found

    def trains(self, variant: str, seed: int) -> Callable[[], bool]:
        """Whether the training has a checkpoint to go on from."""
        return lambda: any(self.folder.glob(f"runs/{variant}-seed{seed}-*/checkpoint-*/complete"))

    def mlflow_run(self, variant: str, seed: int) -> Run:
        run_id = json.loads((self.folder_of(variant, seed) / "delivery.json").read_text())["run_id"]
        return MlflowClient(self.mlflow_uri).get_run(run_id)


@pytest.fixture(scope="module")
def site(made: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Servers on free ports over a project with three variants; workers look every second, alarms are quick."""
    folder = copied(made, tmp_path_factory.mktemp("site")).folder
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    params["variants"] = {name: params["variants"][name] for name in ("untrained", "simcse", "esimcse")}
    params["experiment"]["variants"] = ["simcse"]
    yaml.dump(params, folder / "params.yaml")
    lost = folder / "flows/automations/lost.yaml"
    lost.write_text(lost.read_text().replace("within: 90", "within: 40"))
    site = Site(folder=folder, prefect_port=free_port(), mlflow_port=free_port(), client=httpx.Client(timeout=60))
    done = site.up()
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield site
    finally:
        pids = site.pids.values()
        assert site.run("cseflow", "down").returncode == 0
        assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.fixture(scope="module")
def esimcse(site: Site) -> str:
    """What `prefect deployment run train/esimcse --watch` printed, in the project's folder."""
    done = site.run("prefect", "deployment", "run", "train/esimcse", "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def flow_run_of(printed: str) -> str:
    return printed.partition("UUID: ")[2].split()[0]


def test_every_variant_has_a_deployment_and_no_other_has(site: Site) -> None:
    found = {f"{each['entrypoint'].rpartition('.')[2]}/{each['name']}" for each in site.api("deployments/filter")}
    others = {"data/default", "experiment/default", "promote/default", "compare/default"}
    assert found == others | {"train/untrained", "train/simcse", "train/esimcse"}


def test_training_goes_to_the_pool_gpu_and_the_rest_to_cpu(site: Site) -> None:
    pools = {each["work_pool_name"]: set() for each in site.api("deployments/filter")}
    for each in site.api("deployments/filter"):
        pools[each["work_pool_name"]].add(each["entrypoint"].rpartition(".")[2])
    assert pools == {"gpu": {"train"}, "cpu": {"data", "experiment", "promote", "compare"}}


def test_prefect_deploy_all_asks_nothing_on_a_terminal(site: Site) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(BIN / "prefect"), "deploy", "--all"],
        cwd=site.folder,
        env=os.environ | {"PYTHONPATH": str(site.folder)},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said, _ = process.communicate(timeout=PATIENCE)
    os.close(ours), os.close(theirs)
    assert process.returncode == 0, said


def test_up_again_changes_nothing(site: Site) -> None:
    before = site.pids
    assert site.up().returncode == 0
    assert site.pids == before


def test_a_port_that_is_taken_is_named(site: Site, tmp_path: Path) -> None:
    for name in ("params.yaml", "prefect.yaml"):
        shutil.copy(site.folder / name, tmp_path)
    done = Project(tmp_path).run("cseflow", "up", "--prefect-port", str(site.prefect_port), PYTHONPATH=str(site.folder))
    assert done.returncode == 1
    assert f"port {site.prefect_port} is taken by another program" in done.stderr


def test_status_names_what_runs_and_where(site: Site) -> None:
    said = site.run("cseflow", "status").stdout
    assert all(f"{name} " in said for name in ("prefect", "mlflow", "cpu", "gpu-0"))
    assert f"http://127.0.0.1:{site.prefect_port}/api" in said and site.mlflow_uri in said


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"seed": "one"},
        {"variant": "simsce"},
        {"overrides": {"batch_size": 1}},
        {"overrides": {"batchsize": 8}},
        {"profile": "papier"},
        {"data_version": "latest"},
    ],
    ids=json.dumps,
)
def test_a_bad_value_is_refused_before_anything_is_scheduled(site: Site, wrong: dict[str, Any]) -> None:
    with pytest.raises(httpx.HTTPStatusError) as refused:
        site.submit("train/simcse", **wrong)
    assert refused.value.response.status_code == 409
    assert f"field '{next(iter(wrong))}" in refused.value.response.text


def test_a_watched_run_ends_in_mlflow_with_its_lineage(site: Site, esimcse: str) -> None:
    run = site.mlflow_run("esimcse", 0)
    assert run.info.status == "FINISHED" and "sts/STSB" in run.data.metrics
    assert {"cse.fingerprint", "cse.git.commit", "cse.version.torch", "cse.hardware.cpu"} <= run.data.tags.keys()
    assert run.data.tags["cse.data.version"] in site.run("cseflow", "status").stdout
    names = {each.dataset.name for each in run.inputs.dataset_inputs}
    assert {"views/train/word_repetition", "sts/STSB.parquet"} <= names


def test_prefect_and_mlflow_show_the_way_to_each_other(site: Site, esimcse: str) -> None:
    run = site.mlflow_run("esimcse", 0)
    assert flow_run_of(esimcse) in run.data.tags["mlflow.note.content"]
    link = site.artifacts(flow_run_of(esimcse))["mlflow-run"]
    assert run.info.run_id in link["data"] and site.mlflow_uri in link["data"]


def test_a_run_shows_its_progress(site: Site, esimcse: str) -> None:
    assert float(site.artifacts(flow_run_of(esimcse))["progress"]["data"]) == 100.0


def test_a_finished_run_is_found_and_not_made_again(site: Site, esimcse: str) -> None:
    before = site.mlflow_run("esimcse", 0)
    run = site.submit("train/esimcse")
    site.wait(run, "Completed")
    assert before.info.run_id in site.artifacts(run)["mlflow-run"]["data"]
    assert site.mlflow_run("esimcse", 0).info.end_time == before.info.end_time


def test_a_worker_with_other_data_says_so_and_stops(site: Site) -> None:
    run = site.submit("train/simcse", data_version="0" * 32)
    state = site.wait(run, "Failed")
    assert "the data version asked for is 00000000000000000000000000000000, but" in state["message"]
    assert site.get(f"flow_runs/{run}")["run_count"] == 1


def test_data_that_differ_from_their_lock_stop_a_run(site: Site) -> None:
    train, heldout = (site.folder / f"data/views/{split}/word_repetition/part-00000.parquet" for split in SPLITS)
    whole = train.read_bytes()
    train.unlink()  # it may be a link into DVC's cache
    train.write_bytes(heldout.read_bytes())
    try:
        state = site.wait(site.submit("train/esimcse", seed=9), "Failed")
    finally:
        train.write_bytes(whole)
    assert "differ from dvc.lock" in state["message"]


def test_an_experiment_ends_at_the_gate_and_its_promotion_sets_off_the_automation(site: Site) -> None:
    run = site.submit("experiment/default", seeds=[0])
    site.wait(run, "Completed")
    shown = site.artifacts(run)
    assert "Gate passed" in shown["gate"]["data"] and "simcse" in shown["leaderboard"]["data"]
    assert float(shown["progress"]["data"]) == 100.0 and site.mlflow_uri in shown["mlflow-run"]["data"]
    assert MlflowClient(site.mlflow_uri).get_model_version_by_alias("cse-encoder", "champion")
    compared = site.get("deployments/name/compare/default")["id"]
    wanted = {"deployment_id": {"any_": [compared]}}

    def reacted() -> bool:
        return any(each["state_name"] == "Completed" for each in site.api("flow_runs/filter", flow_runs=wanted))

    until(reacted, PATIENCE, every=0.5)
    assert (site.folder / "reports/champion/index.html").is_file()


def test_a_cancelled_run_frees_the_device_for_the_next(site: Site) -> None:
    first = site.submit("train/simcse", seed=1, overrides={"epochs": 2000})
    until(site.trains("simcse", 1), PATIENCE)
    second = site.submit("train/simcse", seed=2)
    (process,) = psutil.Process(site.pids["gpu-0"]).children()
    assert site.state(second)["type"] == "SCHEDULED"  # one run to a device
    site.api(f"flow_runs/{first}/set_state", state={"type": "CANCELLING", "name": "Cancelling"})
    until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, 60)
    site.wait(second, "Completed")
    assert site.wait(first, "Cancelled")
    assert site.mlflow_run("simcse", 1).info.status == "KILLED"


def test_a_run_whose_worker_is_killed_goes_on_in_the_same_mlflow_run(site: Site) -> None:
    run = site.submit("train/simcse", seed=3, overrides={"epochs": 100})
    until(site.trains("simcse", 3), PATIENCE)
    until(lambda: (site.folder_of("simcse", 3) / "delivery.json").exists(), PATIENCE)
    before = site.mlflow_run("simcse", 3).info.run_id
    worker = psutil.Process(site.pids["gpu-0"])
    (training,) = worker.children()
    worker.kill()
    until(lambda: not training.is_running(), 10)
    done = {path.name for path in site.folder_of("simcse", 3).glob("checkpoint-*")}
    assert done and site.up().returncode == 0
    site.wait(run, "Completed")
    after = site.mlflow_run("simcse", 3)
    assert after.info.run_id == before and after.info.status == "FINISHED"
    steps = [point.step for point in MlflowClient(site.mlflow_uri).get_metric_history(before, "train/loss")]
    assert steps == sorted(set(steps))  # none twice, so none was done twice
    assert site.get(f"flow_runs/{run}")["run_count"] == 2


def test_a_dead_mlflow_costs_a_retry_and_no_training(site: Site) -> None:
    run = site.submit("train/simcse", seed=4, overrides={"epochs": 40})
    until(site.trains("simcse", 4), PATIENCE)
    with suppress(ProcessLookupError):
        os.killpg(site.pids["mlflow"], signal.SIGKILL)
    until(lambda: (site.folder_of("simcse", 4) / "training.json").exists(), PATIENCE)
    assert site.up().returncode == 0
    site.wait(run, "Completed")
    assert site.mlflow_run("simcse", 4).info.status == "FINISHED"


def test_a_run_that_crashes_again_and_again_is_given_up(site: Site) -> None:
    there = site.get("deployments/name/train/simcse")["id"]
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2999-01-01T00:00:00Z"}}
    run = str(site.api(f"deployments/{there}/create_flow_run", parameters={"seed": 5}, state=later)["id"])
    for _ in range(5):
        site.api(f"flow_runs/{run}/set_state", state={"type": "CRASHED", "name": "Crashed"}, force=True)
        site.api(f"flow_runs/{run}/set_state", state=later, force=True)
    site.api(f"flow_runs/{run}/set_state", state={"type": "SCHEDULED"}, force=True)
    state = site.wait(run, "Failed")
    assert "given up after 5 crashes" in state["message"]
