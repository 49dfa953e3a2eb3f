"""Local synthesis: tokens a second of answers that pass the filters, by the embedded language model.

The peer is transformers' own `generate` in batches of 16, sorted by length, in fp32. Both answer the same questions
about the same sentences with the same sampling, and the same filters judge them; as many answers of each must pass.
"""

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.harness import ROUNDS, Row, Sample, compared, interleaved, main, require
from components.config import load_params
from components.hardware import native_bf16
from components.paths import SOURCES
from components.synthesis.backends import Answer, Request
from components.synthesis.backends.local.backend import LocalBackend
from components.synthesis.backends.local.folder import model_folder
from components.synthesis.prepare import prepare
from components.synthesis.prompt import read_answer

THREADS = 2
BATCH = 16  # of the peer
QUESTIONS = (("nli", "positive"), ("sts", "intermediate"))
SENTENCES = 64  # for each question
APART = 0.1  # between the shares that pass: about two standard deviations of what 128 answers and six rounds give

Passes = Callable[[Answer], bool]


def asked(pattern: str, role: str, count: int) -> tuple[list[Request], Passes]:
    """The stage's own first requests for `role`, and whether an answer to one of them passes the filters."""
    order, found, judge = prepare(pattern, load_params(), count)
    sentences = list(islice(found, count))
    requests = [order.request(role, sentence, 0, "benchmark") for sentence in sentences]
    about = {request.key: sentence.text for request, sentence in zip(requests, sentences, strict=True)}

    def passes(answer: Answer) -> bool:
        text = read_answer(answer.text, judge.language, order.prompt.openings.get(role, ""))
        return judge(role, text, about[answer.key], {}) is None

    return requests, passes


def measure(quick: bool) -> Iterator[Row]:
    torch.set_num_threads(THREADS)
    settings = load_params().synthesis
    groups = [asked(pattern, role, 2 * BATCH if quick else SENTENCES) for pattern, role in QUESTIONS]
    source = SOURCES / settings.local.source
    backend = LocalBackend(source, settings.sampling, settings.local.batch_size)
    folder = model_folder(source)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, padding_side="left", trust_remote_code=False)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, trust_remote_code=False).eval()
    shares: dict[str, list[float]] = {"peer": [], "cseflow": []}

    def generate(requests: list[Request]) -> Iterator[Answer]:
        conversations = {
            request.key: [{"role": role, "content": content} for role, content in request.messages]
            for request in sorted(requests, key=lambda request: -sum(len(content) for _, content in request.messages))
        }
        keys = list(conversations)
        begun = bool(requests[0].opening)  # as all of one role are, or none
        for start in range(0, len(keys), BATCH):
            batch = keys[start : start + BATCH]
            inputs = tokenizer.apply_chat_template(
                [conversations[key] for key in batch],
                add_generation_prompt=not begun,
                continue_final_message=begun,
                padding=True,
                return_tensors="pt",
                return_dict=True,
            )
            with torch.inference_mode():
                out = model.generate(
                    **inputs,
                    do_sample=True,
                    temperature=settings.sampling.temperature,
                    top_p=settings.sampling.top_p,
                    top_k=0,
                    max_new_tokens=settings.sampling.max_tokens,
                    pad_token_id=tokenizer.pad_token_id,
                )
            asked_of = inputs["input_ids"].shape[1]
            for key, ids in zip(batch, out[:, asked_of:].tolist(), strict=True):
                ends = [at for at, token in enumerate(ids) if token == tokenizer.eos_token_id]
                told = ids[: ends[0] + 1] if ends else ids
                text = requests[0].opening + tokenizer.decode(told, skip_special_tokens=True)
                yield Answer(key, text, asked_of, len(told))

    def contestant(name: str, answers: Callable[[list[Request]], Iterator[Answer]]) -> Callable[[], Sample]:
        def run() -> Sample:
            start = time.perf_counter()
            found = [list(answers(requests)) for requests, _ in groups]
            seconds = time.perf_counter() - start
            passed = [a for (_, passes), some in zip(groups, found, strict=True) for a in some if passes(a)]
            shares[name].append(len(passed) / sum(map(len, found)))
            return Sample(sum(answer.completion_tokens for answer in passed), seconds)

        return run

    torch.manual_seed(0)
    samples = interleaved(
        {"peer": contestant("peer", generate), "cseflow": contestant("cseflow", backend.answers)},
        rounds=2 if quick else ROUNDS,
    )
    passed = {name: sum(values) / len(values) for name, values in shares.items()}
    require(quick or abs(passed["peer"] - passed["cseflow"]) <= APART, f"shares of answers that pass: {passed}")
    yield compared(
        f"local synthesis by {backend.model}, tokens of accepted answers",
        samples,
        peer=f"generate, batches of {BATCH}, fp32",
        unit="tokens/s",
        at_least=3.0,
        notes={
            "precision of cseflow": "bf16" if native_bf16() else "fp32",
            "answers a round": sum(len(requests) for requests, _ in groups),
            "share that passes": passed,
        },
    )


if __name__ == "__main__":
    main(__doc__, measure)
