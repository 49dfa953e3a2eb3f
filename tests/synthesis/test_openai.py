"""The openai backend against a server on loopback that behaves well, badly, and worse."""

import asyncio
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from chat_server import Call, ChatServer, Reply, refused, said

from components.config.synthesis import OpenAi, Sampling
from components.errors import BackendError
from components.synthesis.backends import Request
from components.synthesis.backends.openai import OpenAiBackend

KEY = "sk-secret-0123456789"
SCHEMA = {"type": "object", "properties": {"positive": {"type": "string"}}, "required": ["positive"]}


def requests(count: int) -> list[Request]:
    return [Request(f"key {i}", (("system", "Be brief."), ("user", f"question {i}")), i) for i in range(count)]


def backend(server: ChatServer, schema: dict[str, Any] | None = None, **settings: Any) -> OpenAiBackend:
    chosen = {"base_url": server.url, "model": "fake", "concurrency": 1, "timeout": 30.0, "retries": 3} | settings
    return OpenAiBackend(OpenAi(**chosen), Sampling(), schema, first_pause=0.02)


def scripted(*replies: Reply) -> Callable[[Call], Reply]:
    """The replies in turn, then good ones."""
    return lambda call: replies[call.number] if call.number < len(replies) else said("good")


def echo(call: Call) -> Reply:
    return said(f"answer to {call.asked}")


def final(reply: Reply, **settings: Any) -> str:
    """What the error says that one such reply ends the run with."""
    with ChatServer(lambda call: reply) as server, pytest.raises(BackendError) as error:
        list(backend(server, **settings).answers(requests(1)))
    assert len(server.calls) == 1
    return str(error.value)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


class TestAnswers:
    def test_each_request_gets_its_own_answer_once(self) -> None:
        with ChatServer(echo) as server:
            answers = list(backend(server, concurrency=8).answers(requests(50)))
        assert sorted((a.key, a.text) for a in answers) == sorted(
            (f"key {i}", f"answer to question {i}") for i in range(50)
        )
        assert len(server.calls) == 50

    def test_sends_model_messages_sampling_and_seed(self) -> None:
        with ChatServer(echo) as server:
            list(backend(server).answers(requests(4)[3:]))
        assert server.calls[0].path == "/v1/chat/completions"
        assert server.calls[0].body == {
            "model": "fake",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "question 3"}],
            "temperature": 0.7,
            "top_p": 0.95,
            "max_tokens": Sampling().max_tokens,
            "seed": 3,
        }

    def test_leaves_out_the_beginning_of_the_answer(self) -> None:
        with ChatServer(echo) as server:
            begun = Request("key", (("user", "question"), ("assistant", '{"positive": "')), 0)
            (answer,) = backend(server).answers([begun])
        assert answer.text == "answer to question"

    def test_counts_tokens_as_the_server_does(self) -> None:
        with ChatServer(echo) as server:
            (answer,) = backend(server).answers(requests(1))
        assert (answer.prompt_tokens, answer.completion_tokens) == (7, 3)

    def test_estimates_tokens_that_the_server_does_not_count(self) -> None:
        with ChatServer(lambda call: said("12345", usage=False)) as server:
            (answer,) = backend(server).answers(requests(1))
        assert (answer.prompt_tokens, answer.completion_tokens) == (3 + 3, 2)

    @pytest.mark.parametrize(
        "reply",
        [
            said(""),
            said(None),
            said(None, refusal="I can't help with that."),
            said("half a sen", finish="content_filter"),
            Reply(b'{"choices": []}'),
            Reply(b'{"choices": [{"message": null}]}'),
            said(None, finish="length", reasoning_content="Okay, let me think."),
            Reply(b'{"choices": [{"message": {"content": [{"type": "thinking", "text": "Hm."}]}}]}'),
        ],
        ids=["empty", "null", "refusal", "filtered answer", "no choices", "no message", "cut", "thoughts alone"],
    )
    def test_what_is_withheld_is_an_empty_answer_that_says_why(self, reply: Reply) -> None:
        with ChatServer(lambda call: reply) as server:
            (answer,) = backend(server).answers(requests(1))
        assert (answer.key, answer.text, len(server.calls)) == ("key 0", "", 1)
        assert answer.finish

    @pytest.mark.parametrize(
        "message",
        [
            {"content": [{"type": "thinking", "thinking": [{"text": "Hm."}]}, {"type": "text", "text": '{"a": 1}'}]},
            {"content": ['{"a"', ": 1}"]},
            {"content": {"a": 1}},
            {"content": None, "reasoning_content": '{"a": 1}'},
        ],
        ids=["parts", "strings", "object", "answer taken for thoughts"],
    )
    def test_content_in_the_shapes_that_servers_give_is_read(self, message: dict[str, Any]) -> None:
        with ChatServer(lambda call: said(None, **message)) as server:
            (answer,) = backend(server).answers(requests(1))
        assert (answer.text, answer.finish) == ('{"a": 1}', "")

    def test_of_several_choices_the_first_with_a_text_counts(self) -> None:
        choices = b'{"choices": [{"message": {"content": null}}, {"message": {"content": "b"}}, {"message": {}}]}'
        with ChatServer(lambda call: Reply(choices)) as server:
            (answer,) = backend(server).answers(requests(1))
        assert (answer.text, answer.finish) == ("b", "")

    def test_more_fields_of_the_request_are_sent(self) -> None:
        with ChatServer(echo) as server:
            list(backend(server, extra={"chat_template_kwargs": {"enable_thinking": False}}).answers(requests(1)))
        assert server.calls[0].body["chat_template_kwargs"] == {"enable_thinking": False}

    def test_works_beside_a_running_event_loop(self) -> None:
        async def notebook() -> int:
            return len(list(backend(server).answers(requests(2))))

        with ChatServer(echo) as server:
            assert asyncio.run(notebook()) == 2


class TestFlight:
    def test_as_many_in_flight_as_allowed_and_no_more(self) -> None:
        with ChatServer(lambda call: said("good", delay=0.05)) as server:
            list(backend(server, concurrency=6).answers(requests(30)))
        assert server.most_in_flight == 6

    def test_takes_no_request_before_there_is_room(self) -> None:
        taken: list[Request] = []

        def lazily() -> Iterator[Request]:
            for request in requests(20):
                taken.append(request)
                yield request

        given = 0
        with ChatServer(echo) as server:
            for _ in backend(server, concurrency=4).answers(lazily()):
                given += 1
                assert len(taken) - given < 4
        assert given == 20

    def test_gives_the_quick_before_the_slow(self) -> None:
        with ChatServer(lambda call: said("good", delay=60 if call.asked == "question 0" else 0)) as server:
            answers = backend(server, concurrency=2).answers(requests(6))
            assert {next(answers).key for _ in range(5)} == {f"key {i}" for i in range(1, 6)}
            answers.close()

    def test_closing_cancels_what_is_in_flight(self) -> None:
        with ChatServer(lambda call: said("good", delay=0 if call.number == 0 else 60)) as server:
            answers = backend(server, concurrency=5).answers(requests(50))
            next(answers)
            until(lambda: len(server.calls) == 5)
            answers.close()
            until(lambda: server.dropped == 4)
        assert len(server.calls) == 5

    def test_an_error_of_the_requests_source_comes_through(self) -> None:
        def broken() -> Iterator[Request]:
            yield requests(1)[0]
            raise ValueError("no more sentences")

        with ChatServer(echo) as server, pytest.raises(ValueError, match="no more sentences"):
            list(backend(server).answers(broken()))

    def test_no_requests_no_answers(self) -> None:
        with ChatServer(echo) as server:
            assert list(backend(server).answers([])) == []


class TestFaults:
    @pytest.mark.parametrize(
        "fault",
        [
            refused(500),
            refused(502),
            refused(503),
            refused(429),
            refused(408),
            Reply(said("good").content, cut=True),
            Reply(b"", cut=True),
            Reply(said("good").content[:40]),
            Reply(b'{"error": {"message": "overloaded"}}'),
            Reply(b"<html>Bad gateway</html>"),
        ],
        ids=["500", "502", "503", "429", "408", "cut in the body", "cut before", "truncated", "error at 200", "html"],
    )
    def test_is_asked_again(self, fault: Reply) -> None:
        with ChatServer(scripted(fault, fault)) as server:
            (answer,) = backend(server).answers(requests(1))
        assert (answer.text, len(server.calls)) == ("good", 3)

    def test_a_hang_is_cut_off_and_asked_again(self) -> None:
        with ChatServer(scripted(said("late", delay=60))) as server:
            (answer,) = backend(server, timeout=2).answers(requests(1))
            until(lambda: server.dropped == 1)
        assert (answer.text, len(server.calls)) == ("good", 2)

    def test_gives_up_after_the_retries_and_says_so(self) -> None:
        with ChatServer(lambda call: refused(503, "model is loading")) as server, pytest.raises(BackendError) as error:
            list(backend(server, retries=2).answers(requests(1)))
        assert "failed one request 3 times, at last with status 503: model is loading" in str(error.value)
        assert len(server.calls) == 3

    def test_answers_given_before_the_failure_are_kept(self) -> None:
        with ChatServer(lambda call: said("good") if call.number < 5 else refused(500)) as server:
            answers = backend(server, retries=1).answers(requests(9))
            kept = [next(answers).key for _ in range(5)]
            with pytest.raises(BackendError):
                next(answers)
        assert (kept, len(server.calls)) == ([f"key {i}" for i in range(5)], 5 + 2)

    def test_nobody_there(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
        alone = OpenAiBackend(OpenAi(base_url=url, model="fake", retries=1), Sampling(), first_pause=0.01)
        with pytest.raises(BackendError, match="2 times, at last with Cannot connect to host"):
            list(alone.answers(requests(1)))

    def test_many_faults_double_and_lose_nothing(self) -> None:
        faults = [refused(500), Reply(b"", cut=True), Reply(b'{"choi'), refused(429)]
        seen: Counter[str] = Counter()

        def behave(call: Call) -> Reply:  # of each question's first two tries, none, one or both go wrong
            seen[call.asked] += 1
            number, tries = int(call.asked.split()[1]), seen[call.asked]
            if number == 1 and tries == 1:
                return said("late", delay=60)
            return faults[(number + tries) % 4] if tries <= number % 3 else echo(call)

        with ChatServer(behave) as server:
            answers = list(backend(server, concurrency=16, timeout=4, retries=4).answers(requests(90)))
        assert sorted((a.key, a.text) for a in answers) == sorted(
            (f"key {i}", f"answer to question {i}") for i in range(90)
        )
        assert len(server.calls) == 90 + 90  # 0, 1 or 2 bad tries, a third of the questions each


class TestRate:
    def test_retry_after_in_seconds_halts_every_request(self) -> None:
        first = refused(429, headers={"Retry-After": "2"})
        with ChatServer(lambda call: first if call.number == 0 else said("good", delay=0.02)) as server:
            answers = list(backend(server, concurrency=4).answers(requests(150)))
        waits = [call.at - server.calls[0].at for call in server.calls[1:]]
        assert (len(answers), len(waits)) == (150, 150)
        assert not [wait for wait in waits if 1.5 < wait < 2.0]  # until 1.5: the refusal may be on its way
        assert any(wait >= 2.0 for wait in waits)

    @pytest.mark.parametrize("dated", [True, False], ids=["server's clock", "own clock"])
    def test_retry_after_as_a_date(self, dated: bool) -> None:
        def behave(call: Call) -> Reply:
            if call.number:
                return said("good")
            now = datetime.now(UTC).replace(microsecond=0) + timedelta(days=-3 if dated else 0)
            headers = {"Date": format_datetime(now, usegmt=True)} if dated else {}
            return refused(
                503, headers=headers | {"Retry-After": format_datetime(now + timedelta(seconds=2), usegmt=True)}
            )

        with ChatServer(behave) as server:
            list(backend(server).answers(requests(1)))
        assert 0.9 < server.calls[1].at - server.calls[0].at < 10

    def test_a_server_at_its_rate_fails_nobody(self) -> None:
        passed: list[float] = []

        def behave(call: Call) -> Reply:  # one answer in 10 ms
            if passed and call.at - passed[-1] < 0.01:
                return refused(429)
            passed.append(call.at)
            return echo(call)

        with ChatServer(behave) as server:
            answers = list(backend(server, concurrency=8, retries=3).answers(requests(30)))
        assert len({answer.key for answer in answers}) == len(answers) == 30

    def test_a_wait_of_hours_is_an_error(self) -> None:
        assert "asks to wait 2.0 hours" in final(refused(429, headers={"Retry-After": "7200"}))

    def test_an_empty_account_is_an_error_at_once(self) -> None:
        assert "nothing left to spend" in final(refused(429, code="insufficient_quota"))

    def test_pauses_are_drawn_from_the_requests_seed(self, caplog: pytest.LogCaptureFixture) -> None:
        def pauses(seed: int) -> list[str]:
            caplog.clear()
            with (
                ChatServer(scripted(refused(500), refused(500), refused(500))) as server,
                caplog.at_level(logging.INFO),
            ):
                slow = OpenAiBackend(OpenAi(base_url=server.url, model="fake"), Sampling(), first_pause=0.2)
                list(slow.answers([Request("key", (("user", "question"),), seed)]))
            return [record.getMessage() for record in caplog.records if "asking again" in record.getMessage()]

        assert pauses(1) == pauses(1) != pauses(2)


class TestKey:
    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_key_is_an_error_that_hides_it(self, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MY_KEY", KEY)
        told = final(refused(status, f"Incorrect key: {KEY}"), key_variable="MY_KEY")
        assert "refuses the key in MY_KEY" in told and KEY not in told

    def test_the_key_goes_to_the_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MY_KEY", KEY)
        with ChatServer(echo) as server:
            list(backend(server, key_variable="MY_KEY").answers(requests(1)))
        assert server.calls[0].headers["authorization"] == f"Bearer {KEY}"

    def test_the_key_is_cut_out_of_what_the_server_says(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        assert "bad header [key];" in final(refused(500, f"bad header {KEY}"), retries=0)

    def test_a_server_elsewhere_wants_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        with pytest.raises(BackendError, match="put it in the environment variable OPENAI_API_KEY"):
            OpenAiBackend(OpenAi(base_url="https://llm.example/v1", model="m"), Sampling())

    def test_a_key_that_no_header_can_carry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret\nsecond line")
        with pytest.raises(BackendError) as error:
            OpenAiBackend(OpenAi(base_url="https://llm.example/v1", model="m"), Sampling())
        assert "secret" not in str(error.value)

    def test_an_unknown_model_is_an_error_at_once(self) -> None:
        assert "has no model 'fake'" in final(refused(404, "The model `fake` does not exist"))


class TestParameters:
    def test_the_schema_is_sent(self) -> None:
        with ChatServer(echo) as server:
            list(backend(server, SCHEMA).answers(requests(1)))
        assert server.calls[0].body["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
        }

    def test_a_refused_schema_is_given_up_for_the_run(self, caplog: pytest.LogCaptureFixture) -> None:
        def behave(call: Call) -> Reply:
            return refused(400, "unknown field") if "response_format" in call.body else echo(call)

        with ChatServer(behave) as server:
            backed = backend(server, SCHEMA)
            assert len(list(backed.answers(requests(5)))) == 5
            assert len(list(backed.answers(requests(5)))) == 5
        assert len(server.calls) == 10 + 3  # a refusal, and a harmless question with the schema and without it
        warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert [w.partition(" refuses ")[2] for w in warnings] == [
            "response_format, which is no longer sent: unknown field"
        ]

    def test_a_parameter_refused_by_name_is_given_up_alone(self) -> None:
        def behave(call: Call) -> Reply:
            for name in ("temperature", "max_tokens"):
                if name in call.body:
                    return refused(400, f"{name}?", param=name, code="unsupported_parameter")
            return echo(call)

        with ChatServer(behave) as server:
            assert len(list(backend(server, SCHEMA).answers(requests(2)))) == 2
        last = server.calls[-1].body
        assert (
            last["max_completion_tokens"] == Sampling().max_tokens
            and "response_format" in last
            and "temperature" not in last
        )
        assert len(server.calls) == 4

    @pytest.mark.parametrize("schema", [SCHEMA, None])
    @pytest.mark.parametrize("code", ["data_inspection_failed", None])
    def test_a_server_that_refuses_everything_is_an_error_at_once(
        self, schema: dict[str, Any] | None, code: str | None
    ) -> None:
        with (
            ChatServer(lambda call: refused(400, "this is not allowed", code=code)) as server,
            pytest.raises(BackendError, match=r"refuses a request \(status 400: this is not allowed\)"),
        ):
            list(backend(server, schema).answers(requests(9)))
        assert len(server.calls) <= 3

    @pytest.mark.parametrize("concurrency", [1, 4])
    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, {"code": "content_filter"}),
            (400, {"code": "data_inspection_failed"}),
            (400, {}),
            (403, {"message": "The input was flagged by moderation."}),
            (413, {}),
            (422, {}),
            (451, {}),
        ],
    )
    def test_a_sentence_that_is_refused_is_one_empty_answer(
        self, status: int, error: dict[str, Any], concurrency: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        with ChatServer(lambda call: refused(status, **error) if "question 0" in call.asked else echo(call)) as server:
            answers = {a.key: a for a in backend(server, SCHEMA, concurrency=concurrency).answers(requests(6))}
        assert [answers[f"key {i}"].text for i in range(3)] == ["", "answer to question 1", "answer to question 2"]
        assert answers["key 0"].finish.startswith("request refused")
        assert len(server.calls) <= 6 + 1 and not caplog.records
        assert all("response_format" in call.body for call in server.calls)

    def test_an_account_without_money_is_no_refused_sentence(self) -> None:
        spent = refused(400, code="billing_hard_limit_reached")
        with (
            ChatServer(lambda call: spent if call.number else echo(call)) as server,
            pytest.raises(BackendError, match="nothing left to spend"),
        ):
            list(backend(server).answers(requests(3)))
