"""What else befalls a machine: full disks, folders that can't be written, locked stores, dead servers, two at once."""

import contextlib
import random
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.campaign.evidence import Items
from tests.campaign.lives import Life, Started, live
from tests.campaign.projects import ENVIRONMENT, TRAIN, Projects
from tests.campaign.workloads import SIGNS_OF_A_FAULT, Tally, Workload, on_server, reported, some, trained
from tests.tracking.server import Server, until

FULL = 3  # times for each command
DEATHS = 3
Say = Callable[[str], None]


class Fault:
    """Counts what a fault does: `hit` after the command that met it, `again` after the same command without it."""

    def __init__(self, name: str, wanted: Items, say: Say) -> None:
        self.tally, self._wanted, self._say, self._began = Tally(name), wanted, say, time.monotonic()
        self.tally.made = wanted.total()

    def hit(self, life: Life, sentence: str) -> None:
        """The command has to have ended with status 1 and `sentence` in what it said."""
        self.tally.kills["faults"] = self.tally.kills.get("faults", 0) + 1
        self.tally.lives += 1
        if life.status != 1 or sentence not in life.said or any(sign in life.said for sign in SIGNS_OF_A_FAULT):
            self.tally.faults.append(f"it ended with {life.status} and no {sentence!r}: {life.said[-3000:]}")

    def again(self, life: Life, made: Items | Callable[[], Items]) -> None:
        self.tally.lives += 1
        if life.status != 0:
            self.tally.faults.append(f"called again, it ended with {life.status}: {life.said[-3000:]}")
            return
        found = made() if callable(made) else made
        lost, doubled = self._wanted - found, found - self._wanted
        self.tally.lost.update(lost)
        self.tally.doubled.update(doubled)
        if lost or doubled:
            self._say(f"{self.tally.name}: lost {some(lost)}; doubled {some(doubled)}")

    def done(self) -> Tally:
        self.tally.seconds = time.monotonic() - self._began
        return self.tally


def full_disk(projects: Projects, workload: Workload, seed: int, say: Say) -> Tally:
    """A file system without room for what the command writes, by a draw of how much there is."""
    draw = random.Random(f"{seed} full disk {workload.name}")
    state: Path = getattr(projects, workload.state)
    with file_system(projects.folder / f"disk-{workload.name}") as disk:
        whole = disk / "whole"
        shutil.copytree(state, whole, symlinks=True)
        free = shutil.disk_usage(disk).free
        environment = ENVIRONMENT | dict(workload.prepare(whole, 0))
        done = live(whole, workload.command, None, environment)
        need = free - shutil.disk_usage(disk).free
        fault = Fault(f"full disk: {workload.name}", workload.evidence(whole), say)
        if done.status != 0:
            fault.tally.faults.append(done.said[-2000:])
            return fault.done()
        shutil.rmtree(whole)
        for _ in range(FULL):
            folder = disk / "project"
            shutil.copytree(state, folder, symlinks=True)
            environment = ENVIRONMENT | dict(workload.prepare(folder, 1))
            room = int(need * draw.uniform(0.02, 0.9))
            filler = disk / "filler"
            with filler.open("wb") as file:
                file.truncate(0)
                left = shutil.disk_usage(disk).free - room
                while left > 0:
                    left -= file.write(bytes(min(left, 1 << 20)))
            life = live(folder, workload.command, None, environment, notes=projects.folder / "notes")
            filler.unlink()
            if life.status != 0:  # what it needs only for a while can find room
                fault.hit(life, "make room, ")
            fault.again(live(folder, workload.command, None, environment), lambda at=folder: workload.evidence(at))
            shutil.rmtree(folder)
    return fault.done()


@contextlib.contextmanager
def file_system(folder: Path) -> Iterator[Path]:
    """A small file system in memory, mounted at `folder`."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def may_mount(folder: Path) -> bool:
    """Whether this process may mount file systems: root may, on most machines."""
    try:
        with file_system(folder / "may-mount"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def read_only_artifacts(projects: Projects, wanted: Items, say: Say) -> Tally:
    """The folder of artifacts is mounted read-only while a variant is trained."""
    fault = Fault("read-only artifact folder", wanted, say)
    folder = projects.copy(projects.with_store)
    artifacts = folder / "mlartifacts"
    artifacts.mkdir()
    subprocess.run(["mount", "--bind", "-o", "ro", artifacts, artifacts], check=True)
    try:
        life = live(folder, TRAIN, None, ENVIRONMENT)
    finally:
        subprocess.run(["umount", "--lazy", artifacts], check=True)
    fault.hit(life, "records wait for MLflow")
    fault.again(live(folder, TRAIN, None, ENVIRONMENT), lambda: trained(folder))
    return fault.done()


def locked_store(projects: Projects, wanted: Items, say: Say) -> Tally:
    """Another process holds mlflow.db: for five seconds of a run, then from the middle of a run to beyond its end."""
    fault = Fault("locked SQLite", wanted, say)
    folder = projects.copy(projects.with_store)
    with locked(folder):
        training = Started(folder, TRAIN, None, ENVIRONMENT)
        time.sleep(5)
    fault.tally.kills["faults"] = 1
    fault.again(training.ended(), lambda: trained(folder))
    folder = projects.copy(projects.with_store)
    training = Started(folder, TRAIN, None, ENVIRONMENT)
    until(lambda: any(folder.glob("runs/*/delivery.json")), 120)
    with locked(folder):
        life = training.ended()
    fault.hit(life, "records wait for MLflow")
    fault.again(live(folder, TRAIN, None, ENVIRONMENT), lambda: trained(folder))
    return fault.done()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The project's store, exclusively."""
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db", timeout=60, isolation_level=None)) as store:
        store.execute("BEGIN EXCLUSIVE")
        yield
        store.execute("ROLLBACK")


def dying_server(projects: Projects, seed: int, say: Say) -> Tally:
    """MLflow's server is killed in the middle of a training, and started again afterwards."""
    draw = random.Random(f"{seed} dying server")
    (projects.folder / "dying").mkdir(exist_ok=True)
    server = Server(projects.folder / "dying")
    environment = ENVIRONMENT | {"MLFLOW_TRACKING_URI": server.uri}
    try:
        server.start()
        whole = projects.copy(projects.with_store)
        first = live(whole, TRAIN, None, environment)
        assert first.status == 0, first.said
        fault = Fault("MLflow's server dies in mid-run", on_server(whole, server), say)
        for _ in range(DEATHS):
            # Another fingerprint could not be compared: the store is emptied instead.
            server.kill()
            shutil.rmtree(server.folder / "artifacts")
            shutil.copy(projects.with_store / "mlflow.db", server.folder / "mlflow.db")
            server.start()
            folder = projects.copy(projects.with_store)
            training = Started(folder, TRAIN, None, environment)
            until(lambda at=folder: any(at.glob("runs/*/delivery.json")), 120)
            time.sleep(draw.uniform(0.0, 0.6 * first.seconds))
            server.kill()
            life = training.ended()
            if life.status != 0:  # the server died after the last record
                fault.hit(life, "send them with: cseflow deliver")
            server.start()
            fault.again(live(folder, TRAIN, None, environment), lambda at=folder: on_server(at, server))
        return fault.done()
    finally:
        server.kill()


def two_at_once(projects: Projects, say: Say) -> Tally:
    """The same experiment from two terminals."""
    command = ("cseflow", "experiment", "--variants", "simcse,esimcse")
    whole = projects.copy(projects.with_store)
    assert live(whole, command, None, ENVIRONMENT).status == 0
    fault = Fault("two experiments at once", reported(whole), say)
    for pause in (0.0, 2.0):
        folder = projects.copy(projects.with_store)
        first = Started(folder, command, None, ENVIRONMENT)
        time.sleep(pause)
        second = Started(folder, command, None, ENVIRONMENT)
        fault.tally.kills["faults"] = fault.tally.kills.get("faults", 0) + 1
        told = [first.ended(), second.ended()]
        for life in told:
            if life.status != 0:
                fault.tally.faults.append(f"one of two ended with {life.status}: {life.said[-3000:]}")
        fault.again(told[0], lambda at=folder: reported(at))
    return fault.done()
