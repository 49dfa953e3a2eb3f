"""What every benchmark shares: interleaved rounds, medians, bars, floors, the machine, a table and a JSON file.

A benchmark is a module `benchmarks.<name>` of this shape; `python -m benchmarks.<name>` runs it alone:

    def measure(quick: bool) -> Iterator[Row]:
        samples = interleaved({"peer": peer, "cseflow": ours}, rounds=5)  # each callable returns a Sample
        require(abs(score_ours - score_peer) <= 0.05, "the scores differ by …")  # equal work, checked
        yield compared("…", samples, peer="scipy in a loop", unit="resamples/s", at_least=50, libraries=["scipy"])

    if __name__ == "__main__":
        main(__doc__, measure)

`--quick` is for trying a script out: less work, fewer rounds, and no result is written.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from components.errors import CseflowError, exit_on_error
from components.files import written_whole
from components.processes import usable_cores

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("torch", "transformers", "sentence-transformers", "numpy")
ROUNDS = 5  # the least that a median is taken of


class Sample(NamedTuple):
    """`work` in units of the claim (sentences, tokens, MB …), done in `seconds`."""

    work: float
    seconds: float

    @property
    def rate(self) -> float:
        """Units per second."""
        return self.work / self.seconds


class Contestant(Protocol):
    """Does its work once and says how much that was and how long it took; `clocked` makes one of a plain function."""

    def __call__(self) -> Sample: ...


class Floor(NamedTuple):
    """The best that this machine could do, in the unit of the row: how it was reckoned, and the figure."""

    how: str
    figure: float


@dataclass(frozen=True)
class Row:
    """One line of the table: a claim, what was measured, and the bar it is held against.

    Attributes:
        claim: what is measured, in words.
        figure: what the bar is about: a ratio, or a quantity in `unit`.
        bar: the figure wanted.
        at_least: whether the figure must not be below the bar (else: not above).
        unit: of `figure`; "×" is a ratio of cseflow to the peer.
        sides: name → median in `sides_unit`; empty where there is nothing to compare.
        rounds: name → the figure of each round, in `sides_unit`; `spread` is that of the rounds' ratios.
        floor: the best that the machine could do, in `sides_unit`.
        notes: anything that a reader needs to trust the row: sizes, what was checked to be equal.
        libraries: distributions besides LIBRARIES whose versions count.
    """

    claim: str
    figure: float
    bar: float
    at_least: bool
    unit: str = "×"
    sides: dict[str, float] = field(default_factory=dict)
    sides_unit: str = ""
    rounds: dict[str, list[float]] = field(default_factory=dict)
    spread: tuple[float, float] | None = None
    floor: Floor | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    libraries: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        """Whether the bar is reached."""
        return self.figure >= self.bar if self.at_least else self.figure <= self.bar


def clocked(work: float, function: Callable[[], object]) -> Contestant:
    """A contestant that does `work` units each time `function` is called."""

    def contestant() -> Sample:
        start = time.perf_counter()
        function()
        return Sample(work, time.perf_counter() - start)

    return contestant


def interleaved(
    contestants: Mapping[str, Contestant], *, rounds: int = ROUNDS, warm_up: int = 1
) -> dict[str, list[Sample]]:
    """Let every contestant run once a round, each round in the reverse order of the one before.

    `warm_up` rounds go before and are thrown away. What disturbs the machine for a while so falls on all alike.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in contestants}
    order = list(contestants)
    for number in tqdm(range(-warm_up, rounds), desc="rounds", unit=" round", leave=False):
        for name in order:
            sample = contestants[name]()
            if number >= 0:
                samples[name].append(sample)
        order.reverse()
    return samples


def compared(
    claim: str,
    samples: Mapping[str, Sequence[Sample]],
    *,
    peer: str,
    unit: str,
    at_least: float,
    ours: str = "cseflow",
    floor: Floor | None = None,
    notes: Mapping[str, Any] | None = None,
    libraries: Sequence[str] = (),
) -> Row:
    """A row whose figure is the median over the rounds of cseflow's rate over the peer's.

    Args:
        samples: of `interleaved`, keyed "peer" and "cseflow" (or `ours`).
        peer: how the peer is called in the table.
        unit: of a rate: "sentences/s".
        at_least: the ratio wanted.
    """
    rates = {name: [sample.rate for sample in samples[name]] for name in ("peer", ours)}
    ratios = [mine / theirs for mine, theirs in zip(rates[ours], rates["peer"], strict=True)]
    named = {peer: rates["peer"], "cseflow": rates[ours]}
    return Row(
        claim,
        statistics.median(ratios),
        at_least,
        at_least=True,
        sides={name: statistics.median(values) for name, values in named.items()},
        sides_unit=unit,
        rounds=named,
        spread=(min(ratios), max(ratios)),
        floor=floor,
        notes=dict(notes or {}),
        libraries=libraries,
    )


def bounded(
    claim: str,
    figures: Sequence[float],
    *,
    unit: str,
    at_most: float | None = None,
    at_least: float | None = None,
    floor: Floor | None = None,
    notes: Mapping[str, Any] | None = None,
    libraries: Sequence[str] = (),
) -> Row:
    """A row without a peer: the median of `figures`, one a round, against a bound."""
    bar = at_most if at_most is not None else at_least
    assert bar is not None
    return Row(
        claim,
        statistics.median(figures),
        bar,
        at_least=at_most is None,
        unit=unit,
        sides_unit=unit,
        rounds={"cseflow": list(figures)},
        spread=(min(figures), max(figures)),
        floor=floor,
        notes=dict(notes or {}),
        libraries=libraries,
    )


def require(holds: bool, what_is_unequal: str) -> None:
    """Refuse to report a comparison of unequal work.

    Raises:
        CseflowError: `holds` is false.
    """
    if not holds:
        raise CseflowError(f"the two sides did not do equal work: {what_is_unequal}")


def main(
    doc: str | None,
    measure: Callable[..., Iterable[Row]],
    *,
    options: Callable[[argparse.ArgumentParser], None] | None = None,
) -> None:
    """Command line of a benchmark: measure, print the table, write `results/<name>.json` unless `--quick`.

    Args:
        doc: the module's docstring.
        measure: gives the rows; called with `quick` and what `options` added, by keyword.
        options: adds arguments to the parser.
    """
    name = Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=doc)
    parser.add_argument("--quick", action="store_true", help="less work and fewer rounds; nothing is written")
    if options is not None:
        options(parser)
    chosen = vars(parser.parse_args())
    with exit_on_error():
        rows = list(measure(**chosen))
        result: dict[str, Any] = {
            "benchmark": name,
            "date": datetime.now(UTC).date().isoformat(),
            "machine": machine(),
            "versions": versions({library for row in rows for library in row.libraries}),
            "rows": [_as_json(row) for row in rows],
        }
        console = Console(width=max(100, Console().width))
        console.print(table(result["rows"]))
        console.print(environment(result), highlight=False, style="dim")
        if not chosen["quick"]:
            path = RESULTS / f"{name}.json"
            with written_whole(path) as aside:
                aside.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            console.print(f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path} written")


def table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """The rows of result files, as they stand in the JSON."""
    out = Table()
    for heading in ("claim", "cseflow", "peer", "measured", "bar", ""):
        out.add_column(heading, justify="left" if heading in {"claim", "peer"} else "right", overflow="fold")
    for row in rows:
        out.add_row(*cells(row))
    return out


def cells(row: Mapping[str, Any]) -> tuple[str, str, str, str, str, str]:
    """Claim, cseflow, peer, measured, bar, and ✓ or ✗: the texts of one row as it stands in the JSON."""
    unit = "×" if row["unit"] == "×" else f" {row['unit']}"
    sides = [f"{name} {number(value)} {row['sides_unit']}" for name, value in row["sides"].items() if name != "cseflow"]
    ours = row["sides"].get("cseflow")
    figure = number(row["figure"]) + unit
    if row["spread"] and row["unit"] == "×":
        figure += f" ({number(row['spread'][0])} to {number(row['spread'][1])})"
    return (
        row["claim"],
        "–" if ours is None else f"{number(ours)} {row['sides_unit']}",
        ", ".join(sides) or "–",
        figure,
        f"{'≥' if row['at_least'] else '≤'} {row['bar']:g}{unit}",
        "✓" if row["passed"] else "✗",
    )


def number(value: float) -> str:
    """Three significant digits, thousands apart."""
    if value == 0:
        return "0"
    digits = max(0, 2 - int(f"{abs(value):e}".partition("e")[2]))
    return f"{value:,.{digits}f}"


def environment(result: Mapping[str, Any]) -> str:
    """One line: machine, versions, date."""
    where = result["machine"]
    libraries = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    return (
        f"{where['processor']}, {where['cores']} cores, {where['memory_gib']} GiB, "
        f"{where['gpu'] or 'no GPU'}; {libraries}; {result['date']}"
    )


def machine() -> dict[str, Any]:
    """What the figures were taken on; nothing that names the host."""
    import torch

    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": model,
        "cores": usable_cores(),
        "memory_gib": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def versions(more: Iterable[str]) -> dict[str, str]:
    """Python's version, and those of LIBRARIES and `more`."""
    return {"python": platform.python_version()} | {name: version(name) for name in [*LIBRARIES, *sorted(more)]}


def _as_json(row: Row) -> dict[str, Any]:
    return asdict(row) | {"floor": row.floor._asdict() if row.floor else None, "passed": row.passed}
