"""`python -m tests.campaign`: kills and other faults over all long commands; `--into FILE` writes the account there.

Exit status 1 where anything was lost, doubled, or ended as it should not.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from components.files import written_whole
from components.processes import usable_cores
from tests.campaign import faults
from tests.campaign.lives import live, warm
from tests.campaign.projects import ENVIRONMENT, Projects
from tests.campaign.report import page
from tests.campaign.workloads import Tally, Workload, run, trained, workloads
from tests.e2e.conftest import answer
from tests.project import REPOSITORY
from tests.synthesis.chat_server import Call, ChatServer, Reply
from tests.tracking.server import Server

ANSWER_SECONDS = 0.01
FULL_DISKS = ("training with queue and momentum", "synthesis", "corpus", "views")
NO_DISK = "Disks are not filled here, for this process may not mount a small file system (root may)."
SMALL_DISK = "A full disk is a small file system in memory (tmpfs), with room for 2 to 90 % of what the command writes."


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of moments, signals and how much room a disk has")
    parser.add_argument("--only", default="", metavar="TEXT", help="what has it in its name")
    parser.add_argument("--kills", type=float, default=1.0, metavar="FACTOR", help="of the usual number of kills")
    parser.add_argument("--jobs", type=int, default=usable_cores(), metavar="N", help="how many run side by side")
    parser.add_argument("--into", type=Path, metavar="FILE", help="write the account there, in Markdown")
    parser.add_argument("--reuse", type=Path, metavar="DIR", help="of an earlier call: take the projects made there")
    chosen = parser.parse_args()
    began, lock = time.monotonic(), threading.Lock()
    folder = chosen.reuse or Path(tempfile.mkdtemp(prefix="cseflow-campaign-"))

    def say(text: str) -> None:
        with lock:
            sys.stdout.write(f"[{time.monotonic() - began:5.0f} s] {text}\n")
            sys.stdout.flush()

    def slow_answer(call: Call) -> Reply:
        return answer(call)._replace(delay=ANSWER_SECONDS)

    def scaled(workload: Workload) -> Workload:
        return replace(workload, kills=max(1, round(workload.kills * chosen.kills)))

    def done(work: tuple[str, Callable[[], Tally]]) -> Tally:
        say(f"{work[0]}: begins")
        tally = work[1]()
        say(
            f"{tally.name}: {tally.kills} in {tally.lives} lives, lost {tally.lost.total()}, "
            f"doubled {tally.doubled.total()}, left {tally.left.total()}, {tally.seconds:.0f} s"
        )
        for fault in tally.faults:
            say(f"  {fault}")
        return tally

    def write(tallies: Sequence[Tally], others: Collection[str]) -> None:
        """The account, as far as it has come."""
        account = page(
            [tally for tally in tallies if tally.name not in others],
            [tally for tally in tallies if tally.name in others],
            day=datetime.now(UTC),
            commit=commit,
            seed=chosen.seed,
            cores=usable_cores(),
            seconds=time.monotonic() - began,
            load=os.getloadavg()[2],
            disk=SMALL_DISK if any(name.startswith("full disk") for name in others) else NO_DISK,
        )
        with written_whole(chosen.into) as aside:
            aside.write_text(account, encoding="utf-8")

    commit = _commit()
    (folder / "server").mkdir(exist_ok=True)
    server = Server(folder / "server")
    tallies: dict[str, Tally] = {}
    with ChatServer(slow_answer, _port(folder)) as llm, ThreadPoolExecutor(chosen.jobs) as pool:
        try:
            (folder / "port").write_text(str(llm.port))
            warm()
            projects = Projects(folder, llm)
            say(f"projects made in {folder}")
            server.start()
            kinds = workloads(projects, llm, server)
            kills = {each.name: partial(run, scaled(each), projects, chosen.seed, say) for each in kinds}
            others = _others(projects, kinds, chosen.seed, say)
            wanted = {name: work for name, work in (kills | others).items() if chosen.only in name}
            for future in as_completed([pool.submit(done, work) for work in wanted.items()]):
                tallies[future.result().name] = future.result()
                if chosen.into:
                    write([tallies[name] for name in wanted if name in tallies], others)
        finally:
            server.kill()
    wrong = any(tally.faults or tally.lost or tally.doubled or tally.left for tally in tallies.values())
    if not wrong and not chosen.reuse:
        shutil.rmtree(folder, ignore_errors=True)
    return int(wrong)


def _port(folder: Path) -> int:
    """Of the server that answers, which the projects of an earlier call know; 0 for any."""
    path = folder / "port"
    return int(path.read_text()) if path.exists() else 0


def _others(projects: Projects, kinds: list[Workload], seed: int, say: faults.Say) -> dict[str, Callable[[], Tally]]:
    """The other faults, by name."""

    def with_undisturbed(fault: Callable[..., Tally]) -> Callable[[], Tally]:
        def work() -> Tally:
            whole = projects.copy(projects.with_store)
            assert live(whole, faults.TRAIN, None, ENVIRONMENT).status == 0
            return fault(projects, trained(whole), say)

        return work

    found: dict[str, Callable[[], Tally]] = {}
    if faults.may_mount(projects.folder):
        for kind in kinds:
            if kind.name in FULL_DISKS:
                found[f"full disk: {kind.name}"] = partial(faults.full_disk, projects, kind, seed, say)
        found["read-only artifact folder"] = with_undisturbed(faults.read_only_artifacts)
    found["locked SQLite"] = with_undisturbed(faults.locked_store)
    found["MLflow's server dies in mid-run"] = partial(faults.dying_server, projects, seed, say)
    found["two experiments at once"] = partial(faults.two_at_once, projects, say)
    return found


def _commit() -> str:
    command = ["git", "-C", str(REPOSITORY), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
