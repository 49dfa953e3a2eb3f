"""The local backend gives what transformers' plain `generate` gives, whatever shares its batch."""

import copy
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from components.config.synthesis import Sampling
from components.errors import BackendError, DataError
from components.synthesis.backends import Answer, Request
from components.synthesis.backends.local.backend import LocalBackend
from components.synthesis.backends.local.packed import PackedLinear, pack
from tests.synthesis.tiny_llm import as_folder

pytestmark = pytest.mark.slow

GREEDY = Sampling(temperature=0, max_tokens=24)
WARM = Sampling(temperature=1.5, top_p=0.9, max_tokens=24)
SYSTEM = ("system", "Say it again in other words, and leave out what is not needed. " * 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return as_folder(tmp_path_factory.mktemp("llm") / "tiny")


def prompts(count: int) -> list[Request]:
    """Some of them of other lengths, some with an answer begun; all behind one system message."""
    return [
        Request(
            f"r{i}",
            (SYSTEM, ("user", f"{i} sentence" * (1 + i % 5)), *([("assistant", "Same:")] if i % 2 else [])),
            seed=100 + i,
        )
        for i in range(count)
    ]


def answered(folder: Path, sampling: Sampling, requests: list[Request], batch_size: int) -> dict[str, Answer]:
    return {answer.key: answer for answer in LocalBackend(folder, sampling, batch_size, "fp32").answers(requests)}


def generated(folder: Path, request: Request) -> tuple[str, int, int]:
    """Text, prompt and answer tokens by transformers' greedy `generate`, one request at a time."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    messages = [{"role": role, "content": content} for role, content in request.messages]
    begun = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
    ids = tokenizer.apply_chat_template(
        messages,
        add_generation_prompt=not begun,
        continue_final_message=bool(begun),
        return_dict=False,
        return_tensors="pt",
    )
    output = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=24)
    answer = output[0, ids.shape[1] :]
    return begun + tokenizer.decode(answer, skip_special_tokens=True), ids.shape[1], len(answer)


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_greedy_answers_are_those_of_generate(folder: Path, batch_size: int) -> None:
    requests = prompts(10)
    for key, answer in answered(folder, GREEDY, requests, batch_size).items():
        expected = generated(folder, next(request for request in requests if request.key == key))
        assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == expected


def test_some_answers_end_before_their_bound_and_some_reach_it(folder: Path) -> None:
    """Else the tests here would not see rows come and go."""
    lengths = {answer.completion_tokens for answer in answered(folder, WARM, prompts(20), 4).values()}
    assert 24 in lengths and len(lengths) > 3


def test_a_request_without_the_others_beginning_is_answered_alike(folder: Path) -> None:
    stranger = Request("stranger", (("user", "Another matter."),), seed=1)
    half = Request("half", ((SYSTEM[0], SYSTEM[1][:60]), ("user", "Another matter.")), seed=1)
    requests = [*prompts(6), stranger, half]
    answers = answered(folder, GREEDY, requests, 4)
    for request in (stranger, half):
        assert answers[request.key].text == generated(folder, request)[0]


def test_a_drawn_answer_depends_neither_on_batch_nor_on_order(folder: Path) -> None:
    requests = prompts(12)
    alone = {request.key: answered(folder, WARM, [request], 1)[request.key] for request in requests}
    assert answered(folder, WARM, requests, 5) == alone
    assert answered(folder, WARM, requests[::-1], 12) == alone


def test_the_seed_decides(folder: Path) -> None:
    request = prompts(1)[0]
    texts = {seed: answered(folder, WARM, [request._replace(seed=seed)], 1)["r0"].text for seed in (1, 2)}
    assert texts[1] != texts[2]
    assert answered(folder, WARM, [request._replace(seed=1)], 1)["r0"].text == texts[1]


class Without(NamedTuple):
    """A guide: no answer holds one of `letters`, or goes on after `end`."""

    letters: str
    end: str

    def allows(self, text: str, ended: bool) -> bool:
        return not set(text) & set(self.letters)

    def over(self, text: str) -> bool:
        return bool(self.end) and self.end in text


@pytest.mark.parametrize("sampling", [GREEDY, WARM])
def test_a_guide_decides_what_is_written_and_when_it_is_over(folder: Path, sampling: Sampling) -> None:
    requests = [request._replace(messages=request.question) for request in prompts(12)]
    free = answered(folder, sampling, requests, 5)
    letters = Counter("".join(answer.text for answer in free.values())).most_common()
    guide = Without(letters[0][0], letters[1][0])
    guided = answered(folder, sampling, [request._replace(guide=guide) for request in requests], 5)
    for answer in guided.values():
        assert guide.letters not in answer.text
        assert guide.end not in answer.text[:-1]
        assert answer.finish == ("length" if answer.completion_tokens == 24 and guide.end not in answer.text else "")
    assert any(answer.text.endswith(guide.end) for answer in guided.values())
    alone = answered(folder, sampling, [requests[3]._replace(guide=guide)], 1)
    assert alone[requests[3].key] == guided[requests[3].key]


def test_a_guide_that_allows_everything_changes_nothing(folder: Path) -> None:
    requests = prompts(8)
    guided = [request._replace(guide=Without("", "")) for request in requests]
    assert answered(folder, WARM, guided, 3) == answered(folder, WARM, requests, 3)


def test_requests_are_taken_as_they_are_worked_on(folder: Path) -> None:
    taken = []

    def endless() -> Iterator[Request]:
        for i in itertools.count():
            taken.append(i)
            yield prompts(1)[0]._replace(key=str(i), seed=i)

    answers = LocalBackend(folder, WARM, 4, "fp32").answers(endless())
    for given in range(1, 8):
        next(answers)
        assert len(taken) <= given + 4
    answers.close()


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_a_question_asked_again_is_answered_as_if_alone(folder: Path, batch_size: int) -> None:
    """Its prompt, which is in the cache yet, is not read anew."""
    waiting = prompts(12)
    asked = []

    class Requests(Iterator[Request]):
        def __next__(self) -> Request:
            if not waiting:
                raise StopIteration
            asked.append(waiting.pop(0))
            return asked[-1]

    found = {}
    for answer in LocalBackend(folder, WARM, batch_size, "fp32").answers(Requests()):
        found[answer.key] = answer
        request = next(request for request in asked if request.key == answer.key)
        if answer.key.count("+") < 2:
            waiting.insert(0, request._replace(key=answer.key + "+", seed=request.seed + 1000))
    assert len(found) == 3 * 12
    assert found == {request.key: answered(folder, WARM, [request], 1)[request.key] for request in asked}


def test_a_question_asked_again_is_not_read_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = LocalBackend(folder, WARM, 1, "fp32")
    read = []
    begin = backend._begin
    monkeypatch.setattr(backend, "_begin", lambda *given: read.append(given[2]) or begin(*given))
    request = prompts(1)[0]
    assert len(list(backend.answers([request, request._replace(key="again", seed=7)]))) == 2
    assert len(read) == 1


def test_no_requests_no_answers(folder: Path) -> None:
    assert list(LocalBackend(folder, WARM, 4, "fp32").answers([])) == []


def test_a_backend_answers_again(folder: Path) -> None:
    backend = LocalBackend(folder, WARM, 4, "fp32")
    next(backend.answers(prompts(8)))
    assert {a.key: a for a in backend.answers(prompts(8))} == answered(folder, WARM, prompts(8), 4)


def test_a_prompt_beyond_the_context_is_refused(folder: Path) -> None:
    long = Request("long", (("user", "word " * 200),), seed=0)
    with pytest.raises(BackendError, match="request long has 1"):
        answered(folder, GREEDY, [long], 1)


def test_half_precision_answers_too(folder: Path) -> None:
    answers = list(LocalBackend(folder, GREEDY, 4, "bf16").answers(prompts(6)))
    assert {answer.key for answer in answers} == {request.key for request in prompts(6)}


@pytest.mark.parametrize("shape", [(7, 48), (1, 7, 48)])
def test_packed_layers_give_what_plain_ones_give(shape: tuple[int, ...]) -> None:
    plain = torch.nn.Sequential(torch.nn.Linear(48, 64, bias=False), torch.nn.Linear(64, 32)).bfloat16()
    packed = copy.deepcopy(plain)
    pack(packed, rows=7)
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0)).bfloat16()
    with torch.inference_mode():
        torch.testing.assert_close(packed(inputs), plain(inputs), rtol=2**-6, atol=2**-6)  # some bfloat16 roundings


def test_a_torch_that_packs_no_weights_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise AttributeError("no such operator")

    monkeypatch.setattr(PackedLinear, "__init__", refuse)
    model = torch.nn.Sequential(torch.nn.Linear(8, 8)).bfloat16()
    pack(model, rows=7)
    assert type(model[0]) is torch.nn.Linear
    assert "packs no weights (no such operator): the local LLM writes more slowly" in caplog.text


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds 0 GGUF files"):
        LocalBackend(tmp_path, GREEDY)
