"""Cost with size: corpus, augmentation, synthesis, training on 1×, 4× and 16× the data, each in a process of its own.

The figure is the growth from 1×, at the size where it is largest: of the seconds a unit (a fixed start makes it fall,
which is not held against it), and of the peak of memory. Rounds go through the sizes one after the other. Of memory the
median of the rounds is compared; of seconds the least, for other work on the machine only adds to them, and by more
than the bar allows.
"""

import bz2
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.corpus import dump
from benchmarks.harness import ROUNDS, Row, bounded, main
from benchmarks.memory import project, train
from benchmarks.sizes import Cost, cost_apart
from components.errors import CseflowError
from components.paths import SOURCES, VIEWS
from components.synthesis.backends import Answer, Request

TIMES = (1, 4, 16)
STEPS = 12  # of training
SENTENCES = 62_500  # of augmentation and training at 1×
TUPLES = 500  # of synthesis at 1×
# A word for each copy of the dump, so that no sentence of it is another's duplicate.
PLACES = ["old", "new", "great", "small", "north", "south", "east", "west"]
PLACES += ["first", "last", "upper", "lower", "inner", "outer", "red", "blue"]


def repeated_dump(source: Path, target: Path, times: int) -> None:
    """The articles of `source` so many times over, each time with other words."""
    with bz2.open(source, "rt", encoding="utf-8") as lines:
        text = lines.read()
    pages = re.findall(r"<page>.*?</page>", text, re.DOTALL)
    head = text[: text.index("<page>")]
    with target.open("w", encoding="utf-8") as out:
        out.write(head)
        for copy in range(times):
            for page in pages:
                out.write(re.sub(r" (the|a|of|and) ", rf" \1 {PLACES[copy]} ", page) + "\n")
        out.write("</mediawiki>\n")


def corpus(source: Path, into: Path) -> float:
    from components.config import load_params
    from components.corpus.build import build

    start = time.perf_counter()
    build(source, into, load_params().corpus, 0)
    return time.perf_counter() - start


def augmentation(folder: Path) -> float:
    from components.augmentation.shards import make_view
    from components.config import load_params

    os.chdir(folder)
    params = load_params()
    start = time.perf_counter()
    for view in params.augmentation.views:
        if view != params.augmentation.identity:
            make_view(view, params, views=VIEWS / "train")
    return time.perf_counter() - start


class Ready:
    """A backend that has every answer at once: what is left of a synthesis is its bookkeeping."""

    name = model = "ready"

    def answers(self, requests: Iterable[Request]) -> Iterator[Answer]:
        for request in requests:
            instruction, sentence = request.messages[0][1], request.question[-1][1]
            words = sentence.rstrip(".").split()
            saw = "Nobody saw a" if "denial" in instruction else "Somebody saw the"
            yield Answer(request.key, f"{saw} {words[2]} at the {words[-1]} on day {words[6]}.", 100, 10)


def synthesis(folder: Path, tuples: int) -> float:
    from components.config.synthesis import Synthesis
    from components.synthesis.filters import Judge
    from components.synthesis.ledger import Ledger
    from components.synthesis.make import Maker, Order
    from components.synthesis.prompt import load_prompt
    from components.synthesis.tuples import Sentence

    settings = Synthesis()
    sentences = (
        Sentence(day, f"The old {animal} seen on day {day} was near the {place}.")
        for day in range(tuples)
        for animal, place in [(("cat", "dog", "owl", "fox")[day % 4], ("river", "house", "bridge")[day % 3])]
    )
    shutil.rmtree(folder, ignore_errors=True)
    start = time.perf_counter()
    with Ledger(folder, "nli") as ledger:
        order = Order("nli", tuples, load_prompt("nli"), {}, settings, seed=0)
        made = Maker(order, sentences, Ready(), ledger, Judge("nli", settings.filters, "en")).run()
    if len(made.rows) < 0.9 * tuples:
        raise CseflowError(f"only {len(made.rows)} of {tuples} tuples were accepted: {dict(made.rejected)}")
    return time.perf_counter() - start


def growth(
    what: str, costs: dict[int, list[Cost]], per: Callable[[int], float], notes: dict[str, Any]
) -> Iterator[Row]:
    """Two rows: seconds a unit, and memory; `per`: how many units there are at so many times the data."""
    seconds = {times: min(cost.seconds for cost in each) / per(times) for times, each in costs.items()}
    memory = {times: median(cost.memory for cost in each) / 2**20 for times, each in costs.items()}
    for name, figures, unit in (("time a unit", seconds, "s a unit"), ("memory", memory, "MiB")):
        yield bounded(
            f"{what}: {name} at up to 16× the data over that at 1×",
            [max(figures.values()) / figures[1]],
            unit="×",
            at_most=1.1,
            notes=notes
            | {unit: {f"{times}×": figure for times, figure in figures.items()}, "rounds": rounds_of(costs)},
        )


def rounds_of(costs: dict[int, list[Cost]]) -> dict[str, list[tuple[float, float]]]:
    """Seconds and MiB of every round."""
    return {f"{times}×": [(cost.seconds, cost.memory / 2**20) for cost in each] for times, each in costs.items()}


def measured(work: Callable[[int], Cost], rounds: int, times: tuple[int, ...]) -> dict[int, list[Cost]]:
    costs: dict[int, list[Cost]] = {each: [] for each in times}
    for _ in range(rounds):
        for each in times:
            costs[each].append(work(each))
    return costs


def measure(quick: bool) -> Iterator[Row]:
    rounds, times = (1, (1, 4)) if quick else (ROUNDS, TIMES)
    sentences = SENTENCES // 10 if quick else SENTENCES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        projects = {}
        for each in times:
            repeated_dump(dump(), folder / f"dump{each}.xml", each)
            (folder / str(each)).mkdir()
            projects[each] = project(folder / str(each), each * sentences)
        build = partial(cost_apart, corpus)
        costs = measured(lambda each: build(folder / f"dump{each}.xml", folder / "corpus"), rounds, times)
        yield from growth("corpus", costs, lambda each: each, {"unit": "the embedded profile's dump"})
        costs = measured(lambda each: cost_apart(augmentation, projects[each]), rounds, times)
        yield from growth("augmentation", costs, lambda each: each, {"unit": f"four views of {sentences:,} sentences"})
        count = TUPLES // 10 if quick else TUPLES
        costs = measured(lambda each: cost_apart(synthesis, folder / "answers", each * count), rounds, times)
        yield from growth("synthesis without its LLM", costs, lambda each: each, {"unit": f"{count:,} tuples"})
        checkpoint = (SOURCES / "encoder").resolve()
        costs = measured(lambda each: cost_apart(train, projects[each], checkpoint, STEPS), rounds, times)
        yield from growth("training", costs, lambda each: 1, {"unit": f"a step on {sentences:,} sentences and more"})


if __name__ == "__main__":
    main(__doc__, measure)
