"""`python -m benchmarks`: every benchmark, one after the other, each in a process of its own; then docs/performance.md.

The table of that page is made of `results/*.json`, so that it never says anything else than they do.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import RESULTS, cells, environment
from components.errors import CseflowError, exit_on_error
from components.files import written_whole

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- results: written by `make bench` -->\n", "<!-- end of results -->\n"
# In the order of the page.
NAMES = (
    "training",
    "sts_suite",
    "corpus",
    "augmentation",
    "synthesis_local",
    "synthesis_openai",
    "bootstrap",
    "memory",
    "startup",
    "scaling",
    "training_gpu",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} (default: all there are)")
    parser.add_argument("--quick", action="store_true", help="less work and fewer rounds; nothing is written")
    parser.add_argument("--page", action="store_true", help="only write the page anew from the results")
    chosen = parser.parse_args()
    there = [name for name in NAMES if (Path(__file__).parent / f"{name}.py").exists()]
    if unknown := [name for name in chosen.names if name not in there]:
        raise CseflowError(f"no benchmark named {', '.join(unknown)}; there are {', '.join(there)}")
    failed = []
    for name in [] if chosen.page else chosen.names or there:
        if name == "training_gpu" and not (chosen.names or torch.cuda.is_available()):
            continue  # the page says so
        sys.stdout.write(f"\n{name}\n")
        sys.stdout.flush()
        command = [sys.executable, "-m", f"benchmarks.{name}", *(["--quick"] if chosen.quick else [])]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if not chosen.quick:
        write_page()
        sys.stdout.write(f"\n{PAGE.relative_to(PAGE.parent.parent)} holds the results\n")
    if failed:
        raise CseflowError(f"{', '.join(failed)} did not finish; run each alone: python -m benchmarks.{failed[0]}")


def write_page() -> None:
    """Put the table of all results between the page's two marks."""
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise CseflowError(f"{PAGE} has lost its marks {BEGIN.strip()} and {END.strip()}; put them back")
    with written_whole(PAGE) as aside:
        aside.write_text(before + begin + page_table() + end + after, encoding="utf-8")


def page_table() -> str:
    """A Markdown table of all results, and a line for each machine, set of versions and date they were taken with."""
    results: list[dict[str, Any]] = [
        json.loads(path.read_text(encoding="utf-8")) for name in NAMES if (path := RESULTS / f"{name}.json").exists()
    ]
    lines = [
        "",
        "| claim | cseflow | peer | measured | bar | | of the floor |",
        "| --- | ---: | --- | ---: | ---: | --- | ---: |",
    ]
    for result in results:
        for row in result["rows"]:
            lines.append(f"| {' | '.join([*cells(row), _of_floor(row)])} |")
    if not any(result["benchmark"] == "training_gpu" for result in results):
        lines += ["", "No GPU was at hand: `benchmarks/training_gpu.py` has not been run on one."]
    taken: dict[str, list[str]] = {}
    for result in results:
        taken.setdefault(environment(result), []).append(result["benchmark"])
    lines += ["", *(f"{', '.join(names)}: {where}.\n" for where, names in taken.items())]
    return "\n".join(lines) + "\n"


def _of_floor(row: dict[str, Any]) -> str:
    if not row["floor"]:
        return ""
    ours, best = row["sides"].get("cseflow", row["figure"]), row["floor"]["figure"]
    return f"{100 * (ours / best if row['at_least'] else best / ours):.0f} %"


if __name__ == "__main__":
    with exit_on_error():
        main()
