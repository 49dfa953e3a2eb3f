"""The backend `local`: requests in, answers out as each is finished."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jinja2 import TemplateError
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from components.config.synthesis import Sampling
from components.errors import BackendError, DataError
from components.hardware import native_bf16
from components.synthesis.backends import LENGTH, Answer, Guide, Messages, Request
from components.synthesis.backends.local.attention import NAME, Cache, Prefix, Step
from components.synthesis.backends.local.folder import model_folder
from components.synthesis.backends.local.packed import pack
from components.synthesis.backends.local.sampling import draw

PORTION = 512  # tokens that are read at a time: enough for the matrix products, few enough for the caches
TOGETHER = 4  # new prompts are read when there are as many as this part of a batch
HEADS = 8  # beginnings of prompts that are kept
REDRAWS = 8  # of one token that a request's guide does not allow
FAR = 6.0  # below the likeliest token's logit, in units of the temperature: what is left is no word that fits


class _Row(NamedTuple):
    """A request being answered.

    Attributes:
        prompt: its tokens; `seen` of them are those of the prefix that begins at `begin`.
        answer: tokens so far.
        uniforms: a draw for each that there may be.
    """

    request: Request
    prompt: list[int]
    answer: list[int]
    uniforms: np.ndarray
    begin: int
    seen: int

    @property
    def unread(self) -> int:
        return len(self.prompt) - self.seen


class LocalBackend:
    """A causal language model on the GPU, or else on the CPU.

    What comes before a request's last message is read once for all that have the same. A row that ends makes room for
    the next request at once, and if that asks the same again, its prompt is not read anew. A row's draws come from its
    request's seed alone, so an answer does not depend on what is beside it (rounding aside).

    Args:
        path: a transformers folder, a GGUF file, or a folder with one; a GGUF is converted once.
        sampling: of all answers.
        batch_size: rows that are worked on at a time.
        precision: `fp32`, `bf16`, or by `auto` bf16 where the hardware has it.
    """

    name = "local"

    def __init__(self, path: Path, sampling: Sampling, batch_size: int = 64, precision: str = "auto") -> None:
        folder = model_folder(path)
        half = native_bf16() if precision == "auto" else precision == "bf16"
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch.bfloat16 if half else torch.float32,
                attn_implementation=NAME,
                use_safetensors=True,
                trust_remote_code=False,
            )
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{folder} is no causal language model that transformers can load: {error}") from None
        if not self._tokenizer.chat_template:
            raise DataError(f"{folder} has no chat template; take an instruction-tuned model")
        self.model = path.stem if path.is_file() else next((f.stem for f in path.glob("*.gguf")), path.name)
        self._model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        pack(self._model, batch_size)
        self._sampling, self._batch_size = sampling, batch_size
        self._prompt = lru_cache(4 * batch_size)(self._rendered)  # for what is asked again, soon after
        self._heads: dict[Messages, Prefix] = {}
        ends = model.generation_config.eos_token_id
        self._ends = {self._tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}

    def answers(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """One answer to each request, as soon as it is finished; `batch_size` requests are taken in advance.

        Raises:
            BackendError: a prompt and its answer are longer than the model's context.
        """
        source = iter(requests)
        cache = Cache(self._model.config, self._batch_size, self._model.dtype, self._model.device)
        rows: list[_Row] = []  # in the cache's first places; in the others is what the last ones there left
        begins: dict[Messages, int] = {}  # of the prefixes in the cache
        waiting: list[_Row] = []  # to be read together: a pass has its costs, however few take part
        while True:
            for request in islice(source, self._batch_size - len(rows) - len(waiting)):
                row = self._row(request, cache, begins)
                if self._found(cache, len(rows), row):
                    rows.append(row)
                else:
                    waiting.append(row)
            if waiting and (not rows or len(waiting) >= self._batch_size // TOGETHER):
                for some in _portions(waiting):
                    logits = self._begin(cache, len(rows), some)
                    rows += some
                    yield from self._advance(cache, rows, len(rows) - len(some), logits)
                waiting = []
            if rows:
                yield from self._advance(cache, rows, 0, self._next(cache, rows))
            elif not waiting:
                return

    def _row(self, request: Request, cache: Cache, begins: dict[Messages, int]) -> _Row:
        prompt = self._prompt(request.messages, bool(request.opening))
        longest = getattr(self._model.config, "max_position_embeddings", None)
        if longest and len(prompt) + self._sampling.max_tokens > longest:
            raise BackendError(
                f"the prompt of request {request.key} has {len(prompt)} tokens, which with an answer of "
                f"{self._sampling.max_tokens} is more than the {longest} that {self.model} can hold; shorten it"
            )
        uniforms = np.random.default_rng(request.seed).random(self._sampling.max_tokens, dtype=np.float32)
        head = request.question[:-1]
        if head not in begins and len(begins) < HEADS and head:
            begins[head] = cache.add(self._read(head))
        seen = 0
        if head in begins:
            seen = min(_common(cache.prefix.tokens[begins[head] :], prompt), len(prompt) - 1)
        return _Row(request, prompt, [], uniforms, begins.get(head, 0), seen)

    def _rendered(self, messages: Messages, begun: bool) -> list[int]:
        return list(
            self._tokenizer.apply_chat_template(
                [{"role": role, "content": content} for role, content in messages],
                add_generation_prompt=not begun,
                continue_final_message=begun,
                return_dict=False,
            )
        )

    def _read(self, head: Messages) -> Prefix:
        """What comes before the last message of a prompt, as a prefix; it is kept."""
        if head not in self._heads:
            messages = [{"role": role, "content": content} for role, content in head]
            try:
                tokens = list(self._tokenizer.apply_chat_template(messages, return_dict=False))
            except TemplateError:  # of a template that takes whole chats alone
                tokens = []
            cache = Cache(self._model.config, 1, self._model.dtype, self._model.device)
            if tokens:
                self._forward(tokens, Step(cache, 0, [len(tokens)]))
            self._heads[head] = cache.as_prefix(tokens)
            if len(self._heads) > HEADS:
                del self._heads[next(iter(self._heads))]
        return self._heads[head]

    def _found(self, cache: Cache, place: int, row: _Row) -> bool:
        """Whether the row's prompt is in the cache; if so, it is brought to `place`, all but its last token read."""
        at = next((at for at in range(place, self._batch_size) if cache.prompts[at] == row.prompt), None)
        if at is None:
            return False
        if at != place:
            cache.swap(at, place)
        cache.length[place] = len(row.prompt) - 1 - cache.seen[place]
        return True

    def _begin(self, cache: Cache, first: int, new: list[_Row]) -> Tensor:
        """Read the new rows' prompts, as far as the prefixes do not hold them; the logits after each."""
        places = slice(first, first + len(new))
        cache.begin[places] = torch.tensor([row.begin for row in new])
        cache.seen[places] = torch.tensor([row.seen for row in new])
        cache.length[places] = 0
        cache.prompts[places] = [row.prompt for row in new]
        step = Step(cache, first, [row.unread for row in new])
        return self._forward([token for row in new for token in row.prompt[row.seen :]], step)

    def _next(self, cache: Cache, rows: list[_Row]) -> Tensor:
        tokens = [(row.answer or row.prompt)[-1] for row in rows]
        return self._forward(tokens, Step(cache, 0, [1] * len(rows)))

    @torch.inference_mode()
    def _forward(self, tokens: list[int], step: Step) -> Tensor:
        """Logits, (rows, vocabulary), after the last of each row's tokens."""
        ids = torch.tensor([tokens], device=self._model.device)
        hidden = self._model.get_decoder()(ids, position_ids=step.positions, use_cache=False, step=step)
        return self._model.get_output_embeddings()(hidden.last_hidden_state[0, step.last])

    @torch.inference_mode()
    def _advance(self, cache: Cache, rows: list[_Row], first: int, logits: Tensor) -> list[Answer]:
        """Draw a token for the rows from `first` on; those that end leave `rows`, the last ones taking their places."""
        uniforms = torch.tensor(np.array([row.uniforms[len(row.answer)] for row in rows[first:]]))
        uniforms = uniforms.to(logits.device)
        drawn = draw(logits, uniforms, self._sampling.temperature, self._sampling.top_p)
        for at, (row, token) in enumerate(zip(rows[first:], drawn.tolist(), strict=True)):
            if row.request.guide is not None:
                token = self._guided(row, row.request.guide, token, logits[at : at + 1], uniforms[at : at + 1])
            row.answer.append(token)
        finished = []
        for place in reversed(range(first, len(rows))):
            row = rows[place]
            whole = row.answer[-1] in self._ends
            if row.request.guide is not None and not whole:
                whole = row.request.guide.over(self._text(row.request, row.answer))
            if whole or len(row.answer) == self._sampling.max_tokens:
                finished.append(self._answer(row, whole))
                last = len(rows) - 1
                if place != last:
                    cache.swap(last, place)
                    rows[place] = rows[last]
                rows.pop()
        return finished

    def _guided(self, row: _Row, guide: Guide, token: int, logits: Tensor, uniforms: Tensor) -> int:
        """`token`, or what the same draw gives without those that the guide does not allow; an end if nothing fits."""
        lowest = float(logits.max()) - FAR * (self._sampling.temperature or 1.0)
        for _ in range(REDRAWS):
            if guide.allows(self._text(row.request, [*row.answer, token]), token in self._ends):
                return token
            logits[0, token] = -torch.inf
            token = int(draw(logits, uniforms, self._sampling.temperature, self._sampling.top_p))
            if logits[0, token] < lowest:
                break
        return min(self._ends, default=token)

    def _text(self, request: Request, answer: list[int]) -> str:
        return request.opening + str(self._tokenizer.decode(answer, skip_special_tokens=True))

    def _answer(self, row: _Row, whole: bool) -> Answer:
        text = self._text(row.request, row.answer)
        return Answer(row.request.key, text, len(row.prompt), len(row.answer), "" if whole else LENGTH)


def _portions(new: list[_Row]) -> Iterator[list[_Row]]:
    """`new` by prefix and length, in portions of one prefix and at most `PORTION` unread tokens, padding included."""
    portion: list[_Row] = []
    for row in sorted(new, key=lambda row: (row.begin, row.unread)):
        if portion and ((len(portion) + 1) * row.unread > PORTION or row.begin != portion[0].begin):
            yield portion
            portion = []
        portion.append(row)
    yield portion


def _common(one: list[int], other: list[int]) -> int:
    """How many tokens two sequences begin with alike."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
