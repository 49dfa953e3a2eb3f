"""The loop around the backend: what is asked, how often, and what comes of it."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.config.synthesis import Budget, Price
from components.errors import BackendError
from components.synthesis.make import Made
from components.synthesis.report import figures, report
from tests.synthesis.toys import SENTENCES, ToyBackend, good, maker


def made(folder: Path, backend: ToyBackend | None = None, **settings: Any) -> Made:
    making = maker(folder, backend or ToyBackend(), **settings)
    with making.ledger:
        return making.run()


def anchors(result: Made) -> list[str | None]:
    return [row["anchor"] for row in result.rows]


def test_tuples_come_in_the_sentences_order_until_there_are_enough(tmp_path: Path) -> None:
    assert anchors(made(tmp_path)) == [sentence.text for sentence in SENTENCES[:4]]


def test_every_row_says_where_it_comes_from(tmp_path: Path) -> None:
    row = made(tmp_path, ToyBackend(lambda anchor, role, attempt: good(anchor, role) if attempt else "no")).rows[1]
    provenance = json.loads(str(row["provenance"]))
    version = provenance.pop("prompt")
    assert len(version) == 8 and provenance == {
        "backend": "toy",
        "model": "toy-1",
        "exemplars": {},
        "seed": 0,
        "sentence": 1,
        "attempts": {"positive": 2, "negative": 2},
        "prompt_tokens": 400,
        "completion_tokens": 40,
    }


def moody(anchor: str, role: str, attempt: int) -> str:
    """Some answers are a refusal, of some sentences always, and some say what another tuple does."""
    if "dog" in anchor or ("horse" in anchor and attempt == 0):
        return "Sorry, I would rather not."
    return good(SENTENCES[0].text if "owl" in anchor else anchor, role)


def test_the_order_of_answers_plays_no_part(tmp_path: Path) -> None:
    results = [made(tmp_path / str(width), ToyBackend(moody, width), wanted=6) for width in (1, 3, 5, 12)]
    assert all(result == results[0] for result in results)


def test_what_a_backend_gave_before_it_broke_is_not_asked_again(tmp_path: Path) -> None:
    asked: list[str] = []
    attempts: Counter[str] = Counter()
    for life in range(1, 12):
        backend = Mortal(moody, width=3, answers=life)
        backend.attempts = attempts
        try:
            result = made(tmp_path, backend, wanted=6)
        except BackendError:
            continue
        finally:
            asked += backend.given
    assert result == made(tmp_path / "whole", ToyBackend(moody), wanted=6)
    assert len(asked) == len(set(asked)) == len((tmp_path / "nli.jsonl").read_text().splitlines())


class Mortal(ToyBackend):
    """Breaks after so many answers."""

    def __init__(self, *arguments: Any, answers: int, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.left, self.given = answers, list[str]()

    def answers(self, requests: Any) -> Iterator[Any]:
        for answer in super().answers(requests):
            if not self.left:
                raise BackendError("the server is gone")
            self.left -= 1
            self.given.append(answer.key)
            yield answer


def test_a_second_call_asks_nothing(tmp_path: Path) -> None:
    made(tmp_path)
    backend = ToyBackend()
    assert len(made(tmp_path, backend).rows) == 4 and backend.asked == []


def test_a_sentence_is_asked_about_a_set_number_of_times(tmp_path: Path) -> None:
    backend = ToyBackend(lambda *_: "", width=2)
    result = made(tmp_path, backend, attempts=3, sentences=5)
    assert (len(backend.asked), len(set(backend.asked)), result.stopped) == (15, 15, "corpus")


def test_rejected_answers_are_counted_by_reason_with_samples(tmp_path: Path) -> None:
    result = made(tmp_path, ToyBackend(lambda *_: ""), sentences=12, attempts=1)
    (rejection,) = result.rejected.values()
    assert (list(result.rejected), rejection.count) == (["empty"], 12)
    assert rejection.samples == [{"anchor": each.text, "role": "positive", "answer": ""} for each in SENTENCES[:5]]


def test_a_text_of_an_earlier_tuple_is_a_duplicate(tmp_path: Path) -> None:
    result = made(tmp_path, ToyBackend(lambda _, role, __: good(SENTENCES[0].text, role)), sentences=3, attempts=1)
    assert len(result.rows) == 1 and result.rejected["duplicate"].count == 2


def test_little_more_is_asked_than_needed(tmp_path: Path) -> None:
    backend = ToyBackend(width=3)
    made(tmp_path, backend, wanted=8)
    assert 2 * 8 <= len(backend.asked) <= 2 * 10


@pytest.mark.parametrize(
    ("bound", "allowed"), [({"requests": 3}, 3), ({"tokens": 800}, 7), ({"money": 0.8e-3}, 7), ({"requests": 50}, 24)]
)
@pytest.mark.parametrize("width", [1, 4])
def test_a_budget_is_never_passed(tmp_path: Path, bound: dict[str, Any], allowed: int, width: int) -> None:
    backend = ToyBackend(width=width)
    result = made(
        tmp_path,
        backend,
        wanted=math.inf,
        budget=Budget(**bound),
        price=Price(prompt=1.0, completion=1.0),
        sampling={"max_tokens": 20},
    )
    assert len(backend.asked) == allowed
    assert result.stopped == ("corpus" if allowed == 24 else next(iter(bound)))


def test_a_budget_holds_for_all_calls_together(tmp_path: Path) -> None:
    first, second = ToyBackend(), ToyBackend()
    made(tmp_path, first, wanted=2)
    budget = Budget(requests=len(first.asked) + 3)
    assert made(tmp_path, second, wanted=9, budget=budget).stopped == "requests"
    assert len(second.asked) == 3


def test_a_raised_budget_goes_on_where_it_stopped(tmp_path: Path) -> None:
    made(tmp_path, wanted=6, budget=Budget(requests=2))
    assert made(tmp_path, wanted=6) == made(tmp_path / "whole", wanted=6)


def test_another_prompt_seed_or_model_is_asked_anew(tmp_path: Path) -> None:
    making = maker(tmp_path, ToyBackend())
    with making.ledger:
        order = making.order
        asked = (("positive", 0, "toy-1"), ("positive", 1, "toy-1"), ("positive", 0, "2"), ("negative", 0, "toy-1"))
        keys = {order.request(role, SENTENCES[0], attempt, model).key for role, attempt, model in asked}
    assert len(keys) == 4


def test_the_report_tells_tokens_cost_and_reasons(tmp_path: Path) -> None:
    making = maker(tmp_path, ToyBackend(moody), price=Price(prompt=1.0, completion=2.0), tuples={"nli": 4})
    with making.ledger:
        told = report(making.order, making.run(), making.backend)
    figure = {name: told[name] for name in ("asked", "accepted", "rejected_share", "prompt_tokens", "cost", "rejected")}
    assert figure == {
        "asked": 14,
        "accepted": 4,
        "rejected_share": 0.3571,
        "prompt_tokens": 1400,
        "cost": 0.00168,
        "rejected": {"chatter": 4, "duplicate": 1},
    }
    (tmp_path / "nli.json").write_text(json.dumps(told))
    assert figures(tmp_path / "nli.parquet")["cost"] == 0.00168


def test_tuples_without_a_report_have_no_figures(tmp_path: Path) -> None:
    assert figures(tmp_path / "nli.parquet") == {}
