"""What is killed: commands, the state that they start from, and what they make."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaign import evidence
from tests.campaign.evidence import Items
from tests.campaign.lives import Kill, Life, live, newest
from tests.campaign.projects import CONCURRENCY, ENVIRONMENT, Projects, new_journal
from tests.e2e.conftest import Project
from tests.synthesis.chat_server import ChatServer
from tests.tracking.server import Server

MOST_KILLS = 4  # in one round; then the command is left alone
SIGNS_OF_A_FAULT = ("Traceback (most recent call last)", "[did not end")
Start = Callable[[Path, Kill | None, Mapping[str, str]], Life]


@dataclass(frozen=True)
class Workload:
    """A command that is killed and called again until `kills` kills have hit.

    Attributes:
        state: attribute of `Projects` that it starts from.
        evidence: of a project's folder, what the command has made.
        kept: what a killed command leaves that has to be there for good, and once.
        check: after a round, what else is wrong with it, in words: its folder and lives.
    """

    name: str
    kills: int
    state: str
    command: tuple[str, ...]
    evidence: Callable[[Path], Items]
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Path, int], Mapping[str, str]] = lambda folder, number: {}
    check: Callable[[Path, list[Life]], list[str]] = lambda folder, lives: []
    start: Start | None = None  # in place of `live`
    kept: Callable[[Path], Items] = lambda folder: Counter()
    real: bool = False  # processes that import for themselves: kills by time alone, and no second undisturbed run


@dataclass
class Tally:
    """What became of a workload."""

    name: str
    undisturbed: float = 0.0  # seconds
    made: int = 0  # items that are compared in each round
    kills: dict[str, int] = field(default_factory=dict)  # by signal
    lives: int = 0
    rounds: int = 0
    lost: Items = field(default_factory=Items)
    doubled: Items = field(default_factory=Items)
    left: Items = field(default_factory=Items)  # files that an undisturbed run doesn't leave
    faults: list[str] = field(default_factory=list)
    landed: list[str] = field(default_factory=list)
    seconds: float = 0.0


def run(workload: Workload, projects: Projects, seed: int, say: Callable[[str], None]) -> Tally:
    """Rounds of one workload: in each, a fresh copy is killed and called again until it is done, then compared."""
    draw = random.Random(f"{seed} {workload.name}")
    tally = Tally(workload.name)
    state: Path = getattr(projects, workload.state)

    def begun(number: int) -> tuple[Path, dict[str, str]]:
        folder = projects.copy(state)
        return folder, ENVIRONMENT | dict(workload.environment) | dict(workload.prepare(folder, number))

    def lived(folder: Path, kill: Kill | None, environment: Mapping[str, str]) -> Life:
        start = workload.start or (lambda at, how, env: live(at, workload.command, how, env))
        life = start(folder, kill, environment)
        tally.seconds += life.seconds
        return life

    whole, environment = begun(0)
    first = lived(whole, None, environment)
    if first.status != 0:
        tally.faults.append(f"undisturbed, it ended with {first.status}: {first.said[-1500:]}")
        return tally
    wanted, files = workload.evidence(whole), evidence.tree(whole)
    tally.undisturbed, tally.made = first.seconds, wanted.total()
    if not workload.real:
        control, environment = begun(0)
        lived(control, None, environment)
        again = workload.evidence(control)
        if wanted != again:
            tally.faults.append(f"two undisturbed runs differ: {some(wanted - again)} | {some(again - wanted)}")
        shutil.rmtree(control)
    while sum(tally.kills.values()) < workload.kills:
        tally.rounds += 1
        folder, environment = begun(tally.rounds)
        lives: list[Life] = []
        kept: Items = Counter()
        while True:
            left = workload.kills - sum(tally.kills.values())
            kill = _drawn(draw, first, not workload.real) if left > 0 and len(lives) < MOST_KILLS else None
            life = lived(folder, kill, environment)
            lives.append(life)
            hit = kill is not None and life.landed != "" and life.status in (-kill.number, 128 + kill.number)
            if any(sign in life.said for sign in SIGNS_OF_A_FAULT):
                tally.faults.append(f"round {tally.rounds}, life {len(lives)} ({life.landed}): {life.said[-3000:]}")
            if hit:
                assert kill is not None
                tally.kills[kill.number.name] = tally.kills.get(kill.number.name, 0) + 1
                tally.landed.append(life.landed)
                kept |= workload.kept(folder)
            elif life.status == 0:
                break
            else:
                tally.faults.append(
                    f"round {tally.rounds}, life {len(lives)}, after {[each.landed for each in lives[:-1]]}: "
                    f"ended with {life.status}: {life.said[-1500:]}"
                )
                break
        tally.lives += len(lives)
        made = workload.evidence(folder)
        last = workload.kept(folder)
        lost, doubled = (wanted - made) + (kept - last), (made - wanted) + (last - Counter(dict.fromkeys(last, 1)))
        beside = evidence.tree(folder) - files
        told = [each.landed for each in lives if each.landed]
        for name, items in (("lost", lost), ("doubled", doubled), ("left", beside)):
            getattr(tally, name).update(items)
            if items:
                say(f"{workload.name}, round {tally.rounds}, {name}: {some(items)} after {told}")
        problems = workload.check(folder, lives)
        tally.faults += [f"round {tally.rounds}, after {told}: {problem}" for problem in problems]
        if lost or doubled or beside or problems:
            say(f"{workload.name}: kept for a look: {folder}")
        else:
            shutil.rmtree(folder)
    shutil.rmtree(whole)
    return tally


def _drawn(draw: random.Random, first: Life, changes: bool) -> Kill:
    """Half at a moment of the undisturbed run, half before one of its changes; one in five asks it to end."""
    number = signal.SIGTERM if draw.random() < 0.2 else signal.SIGKILL
    family = draw.random() < 0.5
    if changes and first.changes and draw.random() < 0.5:
        return Kill(number, change=draw.randint(1, first.changes), family=family)
    return Kill(number, seconds=draw.uniform(0.02, first.seconds), family=family)


def some(items: Items, count: int = 6) -> str:
    """The first few of them, for people."""
    told = [f"{item[:160]} ×{number}" if number > 1 else item[:160] for item, number in list(items.items())[:count]]
    return "; ".join(told) + (f"; and {len(items) - count} more" if len(items) > count else "")


def workloads(projects: Projects, llm: ChatServer, server: Server) -> list[Workload]:
    """All of them; those with many short lives begin."""

    def keyed(folder: Path, number: int) -> dict[str, str]:
        return {"OPENAI_API_KEY": folder.name}  # by which the server's calls are told apart

    def asked_once(folder: Path, lives: list[Life]) -> list[str]:
        calls = sum(call.headers.get("authorization") == f"Bearer {folder.name}" for call in llm.calls)
        answers = sum(evidence.lines(folder, "answers/*.jsonl").values())
        most = CONCURRENCY * (len(lives) - 1)
        return [f"{calls} requests for {answers} answers"] if not 0 <= calls - answers <= most else []

    def to_server(folder: Path, number: int) -> dict[str, str]:
        new_journal(folder)
        return {"MLFLOW_TRACKING_URI": server.uri}

    return [
        Workload(
            "synthesis",
            56,
            "without_answers",
            ("python", "-m", "components.synthesis", "sts"),
            lambda at: evidence.files(at, "data/tuples/sts.*"),
            kept=answers,
            prepare=keyed,
            check=asked_once,
        ),
        Workload(
            "corpus",
            48,
            "without_corpus",
            ("python", "-m", "components.corpus"),
            lambda at: evidence.files(at, "data/corpus/*"),
        ),
        Workload(
            "views",
            48,
            "without_views",
            ("python", "-m", "components.augmentation"),
            lambda at: evidence.files(at, "data/views/**/*"),
        ),
        Workload("delivery to SQLite", 14, "without_delivery", ("cseflow", "deliver"), trained),
        Workload(
            "delivery to a server",
            10,
            "without_delivery",
            ("cseflow", "deliver"),
            lambda at: on_server(at, server),
            prepare=to_server,
        ),
        Workload("export", 10, "without_export", ("cseflow", "train", "esimcse"), trained),
        Workload("training with queue and momentum", 10, "with_store", ("cseflow", "train", "esimcse"), trained),
        Workload("training", 8, "with_store", ("cseflow", "train", "simcse"), trained),
        Workload("experiment", 4, "with_store", ("cseflow", "experiment", "--variants", "simcse"), reported),
        Workload("training, two processes", 1, "two_processes", ("cseflow", "train", "simcse"), trained, real=True),
        Workload(
            "`dvc repro`", 1, "without_data", ("dvc", "repro", "-q"), data, kept=answers, start=_by_command, real=True
        ),
    ]


def _by_command(folder: Path, kill: Kill | None, environment: Mapping[str, str]) -> Life:
    """As `live`, of a real `dvc repro`, whose stages are processes of their own."""
    began = time.monotonic()
    process = Project(folder).start("dvc", "repro", "-q", **environment, session=True)
    out, landed = "", ""
    try:
        out = process.communicate(timeout=kill.seconds if kill else 600)[1]
    except subprocess.TimeoutExpired:
        assert kill is not None
        landed = newest(folder)
        (os.killpg if kill.family else os.kill)(process.pid, kill.number)
        out = process.communicate(timeout=60)[1]
    return Life(process.returncode, time.monotonic() - began, out, landed, 0)


def data(folder: Path) -> Items:
    return evidence.files(folder, "data/[!pv]*/**/*", "data/views/**/*", "data/validation/*.json", "dvc.lock")


def answers(folder: Path) -> Items:
    """The ledger, without a last line that a kill has torn: how many more are asked than needed, timing decides."""
    return Counter({line: n for line, n in evidence.lines(folder, "answers/*.jsonl").items() if line.endswith("\n")})


def trained(folder: Path) -> Items:
    return evidence.files(folder, "runs/*/encoder/**/*", "runs/*/scores/*") + evidence.mlflow(folder / "mlflow.db")


def on_server(folder: Path, server: Server) -> Items:
    """What the server has of the only run of a project."""
    (journal,) = folder.glob("runs/*-seed*/journal.jsonl")
    mine = json.loads(journal.read_text().partition("\n")[0])["journal"]
    return evidence.mlflow(server.folder / "mlflow.db", mine, server.folder / "artifacts")


def reported(folder: Path) -> Items:
    return trained(folder) + evidence.files(folder, "reports/*/leaderboard.*")
