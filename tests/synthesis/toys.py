"""A backend whose answers a test decides, and the smallest order around it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from components.config.synthesis import Synthesis
from components.synthesis.backends import Answer, Request
from components.synthesis.filters import Judge
from components.synthesis.ledger import Ledger
from components.synthesis.make import Maker, Order
from components.synthesis.prompt import load_prompt
from components.synthesis.tuples import Sentence

ANIMALS = ["cat", "dog", "horse", "owl", "fox", "wolf", "bear", "goat", "duck", "mouse", "sheep", "lion"]
PLACES = ["river", "house", "field", "city", "mountain", "bridge", "forest", "church", "garden", "lake"]
SENTENCES = [
    Sentence(row, f"The old {animal} was seen again near the {place}.")
    for row, (place, animal) in enumerate((place, animal) for place in PLACES for animal in ANIMALS)
]


PROMPT = load_prompt("nli")
ROLE_OF = {instruction: role for role, instruction in PROMPT.instructions.items()}  # by what the model is told


def good(anchor: str, role: str) -> str:
    """An answer about `anchor` that passes."""
    words = anchor.rstrip(".").split()
    animal, place = words[2], words[-1]
    if role == "positive":
        return f"Somebody saw the {animal} close to the {place}."
    return f"Nobody saw a {animal} at the {place}."


Say = Callable[[str, str, int], str]  # anchor, role, attempt


class ToyBackend:
    """Answers as `say` does, up to `width` requests at a time, the last first; 100 + 10 tokens each."""

    name, model = "toy", "toy-1"

    def __init__(self, say: Say = lambda anchor, role, _: good(anchor, role), width: int = 1) -> None:
        self.say, self.width = say, width
        self.asked: list[str] = []  # keys
        self.attempts: Counter[tuple[str, str]] = Counter()

    def answers(self, requests: Iterable[Request]) -> Iterator[Answer]:
        source = iter(requests)
        while batch := list(islice(source, self.width)):
            for request in reversed(batch):
                self.asked.append(request.key)
                about = request.question[-1][1], ROLE_OF[request.messages[0][1]]
                yield Answer(request.key, self.say(*about, self.attempts[about]), 100, 10)
                self.attempts[about] += 1


def maker(folder: Path, backend: ToyBackend, wanted: float = 4, sentences: int = 12, **settings: Any) -> Maker:
    """An NLI order over the first `sentences` of SENTENCES, its ledger in `folder`; close that by `maker.ledger`."""
    section = Synthesis(**({"attempts": 2} | settings))
    return Maker(
        Order("nli", wanted, PROMPT, {}, section, seed=0),
        iter(SENTENCES[:sentences]),
        backend,
        Ledger(folder, "nli"),
        Judge("nli", section.filters, "en"),
    )
