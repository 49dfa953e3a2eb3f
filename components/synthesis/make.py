"""From sentences to tuples: ask, keep the answer, judge it, ask again or go on, until there are enough."""

import hashlib
import json
import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from itertools import islice

from components.config.synthesis import Synthesis
from components.errors import BackendError
from components.synthesis.backends import Answer, Backend, Request
from components.synthesis.budget import Purse
from components.synthesis.exemplars import ByRole
from components.synthesis.filters import Judge
from components.synthesis.ledger import Ledger, Spent
from components.synthesis.prompt import Prompt, read_answer
from components.synthesis.tuples import Sentence, Texts
from components.text import normal

SAMPLES = 5  # rejected answers kept for each reason
PILOT = 64  # sentences asked about first, to learn how many answers pass
COHORT = 1024  # sentences asked about together: what a budget that ends leaves half made


@dataclass(frozen=True)
class Order:
    """What is asked for. `wanted` may be infinite: then all the sentences are asked about."""

    pattern: str
    wanted: float
    prompt: Prompt
    exemplars: ByRole
    settings: Synthesis
    seed: int

    def request(self, role: str, sentence: Sentence, attempt: int, model: str) -> Request:
        """Its key is a digest of all that decides the answer, so that one answer is never taken for another's."""
        messages = self.prompt.messages(role, sentence.text, self.exemplars.get(role, ()))
        decides = [self.pattern, messages, attempt, model, self.settings.sampling.model_dump(), self.seed]
        key = hashlib.blake2b(json.dumps(decides).encode(), digest_size=12).hexdigest()
        return Request(key, messages, seed=int(key[:8], 16) % 2**31)


@dataclass
class Rejection:
    count: int = 0
    samples: list[dict[str, str]] = field(default_factory=list)

    def add(self, anchor: str, role: str, answer: str) -> None:
        self.count += 1
        if len(self.samples) < SAMPLES:
            self.samples.append({"anchor": anchor, "role": role, "answer": answer})


@dataclass
class Made:
    """What came of an order, told over the sentences in their order, whatever order the answers came in.

    Attributes:
        rows: accepted tuples.
        sentences: that were asked about.
        spent: by the answers about these sentences, from whichever call of the stage.
        rejected: by reason.
        stopped: what ended it early: a bound of the budget, "corpus" (no sentence is left), or None.
    """

    rows: list[dict[str, str | None]] = field(default_factory=list)
    sentences: int = 0
    spent: Spent = field(default_factory=Spent)
    rejected: defaultdict[str, Rejection] = field(default_factory=lambda: defaultdict(Rejection))
    stopped: str | None = None


@dataclass
class Case:
    """A sentence in the making: the texts that have passed, and every answer with its role and the verdict on it."""

    sentence: Sentence
    texts: Texts = field(default_factory=dict)
    told: list[tuple[str, Answer, str | None]] = field(default_factory=list)
    failed: bool = False

    def attempts(self, role: str) -> int:
        return sum(asked == role for asked, _, _ in self.told)


class Requests(Iterator[Request]):
    """What `take` gives; ended where that is None, and going on if it later is not, for a rejected answer's retry."""

    def __init__(self, take: Callable[[], Request | None]) -> None:
        self._take = take

    def __next__(self) -> Request:
        if (request := self._take()) is None:
            raise StopIteration
        return request


class Maker:
    """Makes one order.

    A cohort of sentences is asked about together, each for one role after the other. Who has no text for a role after
    `attempts` answers is asked no more. The tuples are those of the first sentences, in the given order, that got all
    texts: which answer came first, or in which call of the stage, plays no part.
    """

    def __init__(
        self,
        order: Order,
        sentences: Iterator[Sentence],
        backend: Backend,
        ledger: Ledger,
        judge: Judge,
        progress: Callable[["Maker"], None] = lambda _: None,
    ) -> None:
        settings = order.settings
        self.order = order
        self.made = Made()
        self.purse = Purse(settings.budget, settings.price, settings.sampling.max_tokens, ledger.spent)
        self.asked = 0  # requests of this call
        self.judged: Counter[tuple[str, bool]] = Counter()  # answers by role that passed the judge, and not
        self.texts = 0  # that have passed, of sentences that may still become tuples, or have
        self._roles = list(order.prompt.instructions)  # in the order of asking
        self.backend, self.ledger = backend, ledger
        self._sentences, self._judge, self._progress = sentences, judge, progress
        self._seen: set[str] = set()  # the texts of accepted tuples, in plain form

    def run(self) -> Made:
        """Until there are enough, the sentences are used up, or the budget allows no more.

        Raises:
            BackendError: the backend can answer no more; what is answered is in the ledger.
        """
        while len(self.made.rows) < self.order.wanted and self.made.stopped is None:
            cohort = [Case(sentence) for sentence in islice(self._sentences, self._cohort())]
            if not cohort:
                self.made.stopped = "corpus"
            self.made.stopped = self.made.stopped or self._ask(cohort)
            self._take(cohort)
        return self.made

    def _cohort(self) -> int:
        """How many sentences will likely be needed for what is missing, and two standard deviations more."""
        missing = self.order.wanted - len(self.made.rows)
        if not self.judged:
            return math.ceil(min(missing, PILOT))
        likely = math.prod(1 - (1 - self._rate(role)) ** self.order.settings.attempts for role in self._roles)
        return math.ceil(min((missing + 2 * math.sqrt(missing * (1 - likely))) / likely, COHORT))

    def _rate(self, role: str) -> float:
        """Share of the answers for `role` that pass; one in two where there are hardly any."""
        passed, not_passed = self.judged[role, True], self.judged[role, False]
        return (passed + 2) / (passed + not_passed + 4)

    def _ask(self, cohort: list[Case]) -> str | None:
        """Fill the roles of the cases; returns the bound of the budget that did not allow it."""
        waiting = deque(cohort)
        under_way: dict[str, Case] = {}
        short: list[str] = []

        def request() -> Request | None:
            while waiting and not short:
                case = waiting.popleft()
                role = self._role(case)
                request = self.order.request(role, case.sentence, case.attempts(role), self.backend.model)
                if (answer := self.ledger.find(request.key)) is not None:
                    self._settle(case, answer, waiting)
                elif bound := self.purse.take(request.key, sum(len(content) for _, content in request.messages)):
                    short.append(bound)
                    waiting.appendleft(case)
                else:
                    under_way[request.key] = case
                    return request
            return None

        while waiting:
            before = self.asked
            short.clear()
            answers = self.backend.answers(Requests(request))
            try:
                for answer in answers:
                    case = under_way.pop(answer.key)
                    self._keep(case, answer)
                    self._settle(case, answer, waiting)
            finally:
                if isinstance(answers, Generator):
                    answers.close()
            if under_way:
                raise BackendError(f"the backend left {len(under_way)} requests without an answer; run it again")
            if short and self.asked == before:  # else what was under way may have cost less than it might have
                return short[0]
        return None

    def _role(self, case: Case) -> str:
        """The first that a case has no text for."""
        return next(role for role in self._roles if role not in case.texts)

    def _keep(self, case: Case, answer: Answer) -> None:
        role = self._role(case)
        self.ledger.add(
            answer,
            backend=self.backend.name,
            model=self.backend.model,
            pattern=self.order.pattern,
            role=role,
            prompt=self.order.prompt.version,
            anchor=case.sentence.text,
            attempt=case.attempts(role),
        )
        self.asked += 1
        self.purse.settle(answer.key, answer.prompt_tokens, answer.completion_tokens)

    def _settle(self, case: Case, answer: Answer, waiting: deque[Case]) -> None:
        """Judge an answer: the text is taken and the next asked for, it is asked for again, or the case is given up."""
        role = self._role(case)
        text = read_answer(answer.text, self._judge.language, self.order.prompt.openings.get(role, ""))
        reason = self._judge(role, text, case.sentence.text, case.texts)
        case.told.append((role, answer, reason))
        self.judged[role, reason is None] += 1
        if reason is None:
            case.texts[role] = text
            self.texts += 1
            if len(case.texts) < len(self._roles):
                waiting.append(case)
        elif case.attempts(role) < self.order.settings.attempts:
            waiting.appendleft(case)  # a local model still has the question before it
        else:
            case.failed = True
            self.texts -= len(case.texts)
        self._progress(self)

    def _take(self, cohort: list[Case]) -> None:
        """Go over the sentences in their order; those that a budget left half made are passed over."""
        made = self.made
        for case in cohort:
            if len(made.rows) >= self.order.wanted:
                return
            whole = len(case.texts) == len(self._roles)
            if not whole and not case.failed:
                continue
            made.sentences += 1
            plain = {normal(text) for text in (case.sentence.text, *case.texts.values())} if whole else set()
            if plain & self._seen:
                role, answer, _ = case.told.pop()
                case.told.append((role, answer, "duplicate"))
            elif whole:
                self._seen |= plain
                made.rows.append(self._row(case))
            for role, answer, reason in case.told:
                made.spent = made.spent.plus(1, answer.prompt_tokens, answer.completion_tokens)
                if reason is not None:
                    made.rejected[reason].add(case.sentence.text, role, answer.text)

    def _row(self, case: Case) -> dict[str, str | None]:
        provenance = {
            "backend": self.backend.name,
            "model": self.backend.model,
            "prompt": self.order.prompt.version,
            "exemplars": {role: [each.id for each in chosen] for role, chosen in self.order.exemplars.items()},
            "seed": self.order.seed,
            "sentence": case.sentence.id,
            "attempts": {role: case.attempts(role) for role in self._roles},
            "prompt_tokens": sum(answer.prompt_tokens for _, answer, _ in case.told),
            "completion_tokens": sum(answer.completion_tokens for _, answer, _ in case.told),
        }
        return {"anchor": case.sentence.text, "intermediate": None, **case.texts, "provenance": json.dumps(provenance)}
