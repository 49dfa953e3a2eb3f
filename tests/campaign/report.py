"""The campaign's account in Markdown, which docs/reliability.md holds."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from tests.campaign.workloads import Tally

PLACES = 6  # shown of each workload


def page(kills: Sequence[Tally], faults: Sequence[Tally], **conditions: Any) -> str:
    """`conditions`: day, commit, seed, cores, seconds, load, and in `disk` a sentence on how disks were filled."""
    loader = FileSystemLoader(Path(__file__).parent)
    template = Environment(loader=loader, keep_trailing_newline=True).get_template("page.md.j2")
    both = [*kills, *faults]
    return template.render(
        **conditions,
        kills=kills,
        faults=faults,
        killed={name: sum(tally.kills.get(name, 0) for tally in kills) for name in ("SIGKILL", "SIGTERM")},
        lost=sum(tally.lost.total() for tally in both),
        doubled=sum(tally.doubled.total() for tally in both),
        lost_by_kills=sum(tally.lost.total() for tally in kills),
        doubled_by_kills=sum(tally.doubled.total() for tally in kills),
        left=sum(tally.left.total() for tally in kills),
        places=list(_places(kills)),
        wrong=[f"{tally.name}: {' '.join(fault.split())[:300]}" for tally in both for fault in tally.faults],
    )


def _places(kills: Sequence[Tally]) -> Iterator[tuple[str, str, int]]:
    for tally in kills:
        found = Counter(tally.landed).most_common()
        yield from ((tally.name, f"`{place}`", count) for place, count in found[:PLACES])
        if found[PLACES:]:
            more = sum(count for _, count in found[PLACES:])
            yield tally.name, f"{len(found) - PLACES} other places", more
