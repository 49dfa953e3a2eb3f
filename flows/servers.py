"""`cseflow up`, `down` and `status`: Prefect's and MLflow's servers and the workers of this machine, on loopback.

Their state lies under .state/ (logs/, prefect/ and servers.json, which says what runs), results in mlflow.db and
mlartifacts/ as without a server.
"""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from components.errors import BEGIN, CseflowError
from components.files import written_whole
from components.tracking.relocation import relocate
from components.tracking.store import locked
from flows.orchestration import MARK, SETTINGS, tracked

STATE = Path(".state")
RECORD = STATE / "servers.json"
HOST = "127.0.0.1"
MLFLOW_SECRET = "MLFLOW_FLASK_SERVER_SECRET_KEY"  # who sets it wants MLflow's own authentication
START_SECONDS = 180  # a first start makes data bases; on a busy machine that takes its time
STOP_SECONDS = 30


@dataclass(frozen=True)
class Started:
    """A process of ours; the time of its start tells it from a later one with the same id."""

    pid: int
    since: float
    url: str | None = None

    def process(self) -> psutil.Process | None:
        """The process, None if it is no more."""
        try:
            found = psutil.Process(self.pid)
            alive = abs(found.create_time() - self.since) < 1 and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return found if alive else None


@dataclass(frozen=True)
class Service:
    """Something to start: `port` is the one it listens on, `health` the path that answers once it is up."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    health: str = ""

    @property
    def url(self) -> str | None:
        return None if self.port is None else f"http://{HOST}:{self.port}"


def up(prefect_port: int, mlflow_port: int, gpus: Sequence[str] | None, servers: bool = True) -> None:
    """Start what does not run yet, and wait until all of it answers; then deploy.

    Args:
        prefect_port: of Prefect's API and UI.
        mlflow_port: of MLflow's.
        gpus: devices that get a worker, as CUDA_VISIBLE_DEVICES names them; None: all that are visible.
        servers: False starts workers alone, for the servers that PREFECT_API_URL and MLFLOW_TRACKING_URI name.

    Raises:
        CseflowError: a port is taken, or a process ends at once or doesn't answer in time.
    """
    require_project()
    STATE.mkdir(exist_ok=True)
    if servers and prefect_port == mlflow_port:
        raise CseflowError(f"both servers can't listen on port {mlflow_port}: choose another with --mlflow-port")
    if server_auth := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        os.environ.setdefault("PREFECT_API_AUTH_STRING", server_auth)  # what workers say to it
    with locked(STATE / "servers.lock"):
        if servers:
            relocate(Path.cwd() / "mlflow.db")  # the server would go by what a moved project's store says
            # The ports of servers that run count, whatever is asked for now.
            ports = {name: int(known.url.rpartition(":")[2]) for name, known in _running().items() if known.url}
            both = _servers(ports.get("prefect", prefect_port), ports.get("mlflow", mlflow_port))
            _start(both)
            api, tracking = f"{both[0].url}/api", both[1].url
            assert tracking is not None
            _write_settings(api)
        else:
            if not {"PREFECT_API_URL", "MLFLOW_TRACKING_URI"} <= os.environ.keys():
                raise CseflowError("set PREFECT_API_URL and MLFLOW_TRACKING_URI to the servers that the workers serve")
            api, tracking = os.environ["PREFECT_API_URL"], os.environ["MLFLOW_TRACKING_URI"]
        os.environ |= {"PREFECT_API_URL": api, "MLFLOW_TRACKING_URI": tracking}
        if servers:
            _deploy_changes()
        _start(_workers(visible_gpus() if gpus is None else gpus))
    sys.stdout.write(status())


def deploy() -> None:
    """Bring prefect.yaml in step with params.yaml, and its deployments to the Prefect server, with all they need."""
    require_project()
    if not tracked():
        raise CseflowError("no Prefect server to deploy to: start one with `make up`, or name it by PREFECT_API_URL")
    from flows.setup import make_pools, write_variants

    make_pools()  # without them `prefect deploy` refuses, before it comes to a build step
    if write_variants():
        sys.stdout.write("prefect.yaml now lists the variants of params.yaml: commit it\n")
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CseflowError(f"prefect deploy --all failed: {(done.stderr.strip() or done.stdout.strip())[-1500:]}")


def _deploy_changes() -> None:
    """`deploy`, unless this server has got it all."""
    from prefect.client.orchestration import get_client

    known = STATE / "deployed"
    with get_client(sync_client=True) as client:
        if client.read_deployments() and known.is_file() and known.read_text() == _deployment_digest():
            return
    deploy()
    known.write_text(_deployment_digest())


def _deployment_digest() -> str:
    digest = hashlib.sha256(os.environ["PREFECT_API_URL"].encode())
    flows = [path for path in sorted(Path("flows").rglob("*")) if path.suffix in (".py", ".yaml")]
    for path in [Path("params.yaml"), Path("prefect.yaml"), *flows]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def down() -> None:
    """Stop what `up` started, workers first; nothing else. Runs that a worker had are queued again, to go on later."""
    require_project()
    STATE.mkdir(exist_ok=True)
    with locked(STATE / "servers.lock"):
        running = _running()
        workers = {name for name, started in running.items() if started.url is None}
        for names in (workers, running.keys() - workers):
            _stop([process for name in names if (process := running[name].process())])
        _record({})
        if SETTINGS.is_file() and SETTINGS.read_text().startswith(MARK):
            SETTINGS.unlink()
    sys.stdout.write(f"stopped: {', '.join(sorted(running)) or 'nothing, for nothing ran'}\n")


def status() -> str:
    """What runs, with process ids and URLs, and what the workers do; a text of some lines."""
    from components.tracking.lineage import data_version

    require_project()
    recorded = _recorded()
    lines = []
    for name, started in recorded.items():
        state = f"runs, pid {started.pid}" if started.process() else f"has died, see {_log(name)}"
        lines.append(f"{name:<10} {state:<24} {started.url or ''}".rstrip())
    if not recorded:
        lines.append("nothing runs; start it with: make up")
    prefect, mlflow = recorded.get("prefect"), recorded.get("mlflow")
    if prefect and prefect.process():
        lines += ["", f"Prefect's UI   {prefect.url}", f"Prefect's API  {prefect.url}/api"]
        lines += [f"  {run}" for run in _unfinished_runs(f"{prefect.url}/api")]
    if mlflow and mlflow.process():
        lines.append(f"MLflow's UI    {mlflow.url}")
    if Path("dvc.lock").is_file():
        lines.append(f"Data version   {data_version()}")
    return "\n".join(lines) + "\n"


def require_project() -> None:
    """See that the working folder is a project.

    Raises:
        CseflowError: it isn't.
    """
    missing = [name for name in ("params.yaml", "prefect.yaml") if not Path(name).is_file()]
    if missing:
        raise CseflowError(f"{Path.cwd()} has no {' and no '.join(missing)}: {BEGIN}")


def visible_gpus() -> list[str]:
    """The devices that a run here could use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[:count] or [str(index) for index in range(count)]


def _servers(prefect_port: int, mlflow_port: int) -> list[Service]:
    here = Path.cwd()
    return [
        Service(
            "prefect",
            [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(prefect_port)],
            {
                **_own_database(),
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "PREFECT_SERVER_UI_API_URL": f"http://{HOST}:{prefect_port}/api",  # else the pages look for it at 4200
                # SQLite has one writer at a time, and a machine that trains may keep the others waiting.
                "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
                "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "60",
            },
            prefect_port,
            "/api/health",
        ),
        Service(
            "mlflow",
            # Artifacts lie where runs without a server put them, so that either way finds the other's.
            [
                *(
                    sys.executable,
                    "-m",
                    "mlflow",
                    "server",
                    "--host",
                    HOST,
                    "--port",
                    str(mlflow_port),
                    "--workers",
                    "1",
                ),
                *("--backend-store-uri", f"sqlite:///{here}/mlflow.db"),
                *("--default-artifact-root", (here / "mlartifacts").as_uri()),
                *(["--app-name", "basic-auth"] if MLFLOW_SECRET in os.environ else []),
            ],
            {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # it serves nothing here, and triples the time to start
            mlflow_port,
            "/health",
        ),
    ]


def _own_database() -> dict[str, str]:
    """Has Prefect's server keep its data with the project's, unless the user says where."""
    named = {"PREFECT_HOME", "PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL"}
    if named & os.environ.keys():
        return {}
    folder = (STATE / "prefect").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder}/prefect.db"}


def _workers(gpus: Sequence[str]) -> list[Service]:
    """One for the pool `cpu`; for `gpu` one per device, which it shows its runs alone, or one where there is none."""
    environment = {
        "PREFECT_API_URL": os.environ["PREFECT_API_URL"],
        "MLFLOW_TRACKING_URI": os.environ["MLFLOW_TRACKING_URI"],
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "components,flows",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # flows/automations/lost.yaml counts on it
        "PREFECT_WORKER_QUERY_SECONDS": os.environ.get("PREFECT_WORKER_QUERY_SECONDS", "5"),
    }

    def worker(name: str, pool: str, limit: int, own: dict[str, str]) -> Service:
        command = [sys.executable, "-m", "prefect", "worker", "start", "--type", "process", "--install-policy", "never"]
        command += ["--pool", pool, "--name", f"{name}@{socket.gethostname()}", "--limit", str(limit)]
        return Service(name, command, environment | own)

    on_gpus = [worker(f"gpu-{gpu}", "gpu", 1, {"CUDA_VISIBLE_DEVICES": gpu}) for gpu in gpus]
    return [worker("cpu", "cpu", 4, {"CUDA_VISIBLE_DEVICES": ""}), *(on_gpus or [worker("gpu", "gpu", 1, {})])]


def _start(services: Sequence[Service]) -> None:
    """Start those that don't run, and wait until they answer; where one fails, the others run on until `down`."""
    running = _running()
    missing = [service for service in services if service.name not in running]
    for service in missing:
        if service.port is not None and _is_taken(service.port):
            raise CseflowError(
                f"port {service.port} is taken by another program: stop that, or choose another port with "
                f"--{service.name}-port"
            )
    for service in missing:
        log = _log(service.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            process = subprocess.Popen(
                service.command,
                env=os.environ | service.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        running[service.name] = Started(process.pid, psutil.Process(process.pid).create_time(), service.url)
        _record(running)
    deadline = time.monotonic() + START_SECONDS
    for service in missing:
        while not _is_up(service, running[service.name]):
            if running[service.name].process() is None:
                raise CseflowError(f"{service.name} ended at once: see {_log(service.name)}{_last_line(service.name)}")
            if time.monotonic() > deadline:
                raise CseflowError(
                    f"{service.name} did not answer within {START_SECONDS} seconds: see {_log(service.name)}; then stop"
                    " the rest with: make down"
                )
            time.sleep(0.2)


def _is_up(service: Service, started: Started) -> bool:
    if service.url is None:
        return started.process() is not None
    try:
        with urllib.request.urlopen(service.url + service.health, timeout=5):
            return True
    except OSError:
        return False


def _stop(processes: Sequence[psutil.Process]) -> None:
    """Ask them to end, and after a while kill what is left of them and of what they started."""
    family = list(processes)
    for process in processes:
        try:
            family += process.children(recursive=True)
            process.send_signal(signal.SIGTERM)
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, timeout=STOP_SECONDS)


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def _write_settings(api: str) -> None:
    """Have `prefect`, and flows that are run by hand, use the server, in this folder alone."""
    if SETTINGS.is_file() and not SETTINGS.read_text().startswith(MARK):
        return  # the user's own
    with written_whole(SETTINGS) as aside:
        aside.write_text(f'{MARK}[api]\nurl = {json.dumps(api)}\n[logging]\nlevel = "WARNING"\n')


def _unfinished_runs(api: str) -> list[str]:
    """Names and states of at most twenty; none where the server doesn't answer."""
    os.environ["PREFECT_API_URL"] = api
    from httpx import HTTPError
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
    from prefect.client.schemas.objects import StateType

    types = [StateType.RUNNING, StateType.PENDING, StateType.SCHEDULED, StateType.CANCELLING]
    wanted = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=types)))
    try:
        with get_client(sync_client=True, httpx_settings={"timeout": 10}) as client:
            found = client.read_flow_runs(flow_run_filter=wanted, limit=20)
    except HTTPError:
        return []
    return [f"{run.name}: {run.state_name}" for run in found]


def _log(name: str) -> Path:
    return STATE / "logs" / f"{name}.log"


def _last_line(name: str) -> str:
    """What its log ends with, in brackets: most often the reason why it ended; empty where the log is."""
    lines = _log(name).read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f" ({last[:400]})" if last else ""


def _recorded() -> dict[str, Started]:
    try:
        return {name: Started(**entry) for name, entry in json.loads(RECORD.read_text()).items()}
    except FileNotFoundError:
        return {}


def _running() -> dict[str, Started]:
    return {name: started for name, started in _recorded().items() if started.process()}


def _record(running: Mapping[str, Started]) -> None:
    with written_whole(RECORD) as aside:
        aside.write_text(json.dumps({name: asdict(started) for name, started in running.items()}, indent=1) + "\n")
