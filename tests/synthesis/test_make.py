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


def silent(answers: int) -> ToyBackend:
    """Says nothing of use after so many good answers."""
    said: list[str] = []

    def say(anchor: str, role: str, _: int) -> str:
        said.append(role)
        return good(anchor, role) if len(said) <= answers else f"Sorry, I have nothing to say {len(said)}"

    return ToyBackend(say, width=4)


PATIENCE = {"answers": 10, "min_accepted": 0.2}


@pytest.mark.parametrize("before", [0, 16])
def test_a_model_that_says_nothing_of_use_is_given_up(tmp_path: Path, before: int) -> None:
    backend = silent(before)
    with pytest.raises(BackendError, match=r"toy-1 gives no answers of use: of the last 10 to role \w+, \d+ ") as error:
        made(tmp_path, backend, wanted=60, sentences=90, patience=PATIENCE)
    assert before + 9 <= len(backend.asked) <= before + 2 * 10 + 4
    assert str(error.value).count("“Sorry, I have nothing to say") == 3 and "chatter" in str(error.value)
    assert len((tmp_path / "nli.jsonl").read_text().splitlines()) == len(backend.asked)  # what was under way too


def test_the_reasons_are_counted_and_each_has_an_example(tmp_path: Path) -> None:
    said = iter(["Sorry.", "", "Monks built an abbey", "Sorry."] * 9)
    told = r"chatter 5, empty 3, \w+ 2\), such as “Sorry.” to “The old .*; “” to .*; “Monks"
    with pytest.raises(BackendError, match=told):
        made(tmp_path, ToyBackend(lambda *_: next(said)), wanted=60, sentences=90, patience=PATIENCE)


def test_a_model_that_was_given_up_is_asked_on_by_the_same_command(tmp_path: Path) -> None:
    with pytest.raises(BackendError):
        made(tmp_path, silent(16), wanted=12, sentences=60, patience=PATIENCE)
    kept = {json.loads(line)["key"] for line in (tmp_path / "nli.jsonl").read_text().splitlines()}
    backend = ToyBackend()
    assert len(made(tmp_path, backend, wanted=12, sentences=60, patience=PATIENCE).rows) == 12
    assert not kept & set(backend.asked)


def test_a_model_whose_answers_to_one_role_alone_are_of_no_use_is_given_up(tmp_path: Path) -> None:
    backend = ToyBackend(lambda anchor, role, _: good(anchor, role) if role == "positive" else "")
    with pytest.raises(BackendError, match="of the last 10 to role negative, 10 were rejected"):
        made(tmp_path, backend, wanted=60, sentences=90, patience=PATIENCE)


def test_patience_without_bound_asks_about_the_whole_corpus(tmp_path: Path) -> None:
    result = made(tmp_path, silent(0), wanted=60, sentences=90, patience={"answers": None}, attempts=1)
    assert (result.stopped, result.sentences) == ("corpus", 90)


class Finishing(ToyBackend):
    """Says how each answer ended."""

    def __init__(self, text: str, finish: str) -> None:
        super().__init__(lambda *_: text)
        self.finish = finish

    def answers(self, requests: Any) -> Iterator[Any]:
        for answer in super().answers(requests):
            yield answer._replace(finish=self.finish)


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [
        ("", "length", "cut at max_tokens"),
        ("<think>Well, the old", "length", "only thoughts"),
        ("<think>Well, the old", "", "only thoughts"),
        ("Somebody saw the", "length", "cut at max_tokens"),
        ("", "refusal: I would rather not", "refusal"),
        ("", "request refused: invalid_prompt", "request refused: invalid_prompt"),
    ],
)
def test_why_there_is_no_answer_is_said(tmp_path: Path, text: str, finish: str, reason: str) -> None:
    assert list(made(tmp_path, Finishing(text, finish)).rejected) == [reason]


def test_of_a_model_that_spends_its_tokens_on_thoughts_the_keys_to_change_are_named(tmp_path: Path) -> None:
    told = r"sampling\.max_tokens \(48; finish_reason length\).*synthesis\.openai\.extra"
    with pytest.raises(BackendError, match=told):
        made(tmp_path, Finishing("<think>Well", "length"), wanted=60, sentences=90, patience=PATIENCE)


def test_a_sentence_that_the_server_refuses_is_not_asked_about_again(tmp_path: Path) -> None:
    backend = Finishing("", "request refused: invalid_prompt")
    made(tmp_path, backend, attempts=3, sentences=5)
    assert len(backend.asked) == 5


def test_an_answer_that_utf8_cannot_hold_is_repaired_and_read_again_alike(tmp_path: Path) -> None:
    def say(anchor: str, role: str, _: int) -> str:
        return f'\ud83d{{"sentence": "{good(anchor, role)}\\ud83d"}}'

    result = made(tmp_path, ToyBackend(say))
    assert result.rows[0]["positive"] == good(SENTENCES[0].text, "positive")
    backend = ToyBackend(say)
    assert made(tmp_path, backend) == result and not backend.asked


@pytest.mark.parametrize(("backend", "guided"), [("local", True), ("local", False), ("openai", True)])
def test_the_local_model_alone_is_guided_if_that_is_asked(tmp_path: Path, backend: str, guided: bool) -> None:
    seen: list[bool] = []

    class Watching(ToyBackend):
        def answers(self, requests: Any) -> Iterator[Any]:
            return super().answers(seen.append(request.guide is not None) or request for request in requests)

    watching = Watching()
    watching.name = backend
    made(tmp_path, watching, local={"guided": guided})
    assert set(seen) == {backend == "local" and guided}


def test_an_answer_that_was_guided_is_not_taken_for_one_that_was_not(tmp_path: Path) -> None:
    made(tmp_path)
    backend = ToyBackend()
    made(tmp_path, backend, local={"guided": False})
    assert len(backend.asked) == 8


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
