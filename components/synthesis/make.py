"""From sentences to tuples: ask, keep the answer, judge it, ask again or go on, until there are enough."""

import hashlib
import json
import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

from components.config.synthesis import Synthesis
from components.errors import BackendError
from components.synthesis.backends import LENGTH, REFUSED, Answer, Backend, Request
from components.synthesis.budget import Purse
from components.synthesis.exemplars import ByRole
from components.synthesis.filters import Judge
from components.synthesis.guide import Writing
from components.synthesis.ledger import Ledger, Spent
from components.synthesis.patience import CUT, THINKING, Judged, Watch
from components.synthesis.prompt import Prompt, read_answer, thinks
from components.synthesis.tuples import Sentence, Texts
from components.text import normal

SAMPLES = 5  # rejected answers kept for each reason
SURE = 2.0  # standard deviations by which the tuples expected of the sentences under way exceed those wanted


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
        # Whatever the backend is, for a replay must find what another one recorded.
        if self.settings.openai.extra:
            decides.append(self.settings.openai.extra)
        if not self.settings.local.guided:
            decides.append("unguided")
        key = hashlib.blake2b(json.dumps(decides).encode(), digest_size=12).hexdigest()
        return Request(key, messages, seed=int(key[:8], 16) % 2**31)


@dataclass
class Rejection:
    count: int = 0
    samples: list[dict[str, str]] = field(default_factory=list)

    def add(self, anchor: str, role: str, answer: Answer) -> None:
        self.count += 1
        if len(self.samples) < SAMPLES:
            self.samples.append({"anchor": anchor, "role": role, "answer": answer.text or answer.finish})


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


Stage = tuple[int, int]  # of a sentence in the making: the texts it has, and the answers about the next


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

    A sentence is asked about for one role after the other, and no more where it has no text for one after `attempts`
    answers. Another is begun when the backend has nothing else to do and those under way will hardly do, so that a
    budget which ends leaves few half made. The tuples are those of the first sentences, in the given order, that got
    all texts: which answer came first, or in which call of the stage, plays no part.
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
        self._open: deque[Case] = deque()  # sentences not yet told of, in their order
        self._stages: Counter[Stage] = Counter()  # of the open ones, but for the failed
        self._waiting: deque[Case] = deque()  # for their next question
        self._under_way: dict[str, Case] = {}  # by the request's key
        self._aside: list[Case] = []  # whose requests the budget did not allow
        self._bound: str | None = None  # of the budget, by which that was
        self._watch = Watch(settings.patience)

    def run(self) -> Made:
        """Until there are enough, the sentences are used up, or the budget allows no more.

        Raises:
            BackendError: the backend can answer no more, or nearly nothing that it answers passes; what is answered is
                in the ledger.
        """
        settings = self.order.settings
        while not self._enough():
            before = self.asked
            self._waiting.extendleft(reversed(self._aside))
            self._aside.clear()
            answers = self.backend.answers(Requests(self._request))
            try:
                for answer in answers:
                    case, answer = self._under_way.pop(answer.key), answer.repaired()
                    self._keep(case, answer)
                    role = self._role(case)
                    reason = self._settle(case, answer)
                    self._watch.add(role, Judged(case.sentence.text, answer, reason))
            finally:
                if isinstance(answers, Generator):
                    answers.close()
            if self._watch.given_up and not self._enough():
                raise BackendError(
                    f"{self.backend.model} gives no answers of use: {self._watch.told(settings.sampling.max_tokens)}; "
                    f"what is answered is kept in {self.ledger.path}, and the same command goes on from there"
                )
            if self._under_way:
                raise BackendError(f"the backend left {len(self._under_way)} requests without an answer; run it again")
            if self._aside and self.asked == before:  # else what was under way may have cost less than it might have
                self.made.stopped = self._bound
            elif not self._open and not self._enough() and not self._begin():
                self.made.stopped = "corpus"
            if self.made.stopped is not None:
                break
        self._open = deque(filter(self._over, self._open))  # those that a budget left half made are passed over
        self._take()
        return self.made

    def _enough(self) -> bool:
        return len(self.made.rows) >= self.order.wanted

    def _request(self) -> Request | None:
        """The next to be answered; None while there is none."""
        while not (self._enough() or self._spent() or self._watch.given_up):
            if not self._waiting and not ((self._aside or self._wants_more()) and self._begin()):
                return None
            case = self._waiting.popleft()
            role = self._role(case)
            request = self.order.request(role, case.sentence, case.attempts(role), self.backend.model)
            if (answer := self.ledger.find(request.key)) is not None:
                self._settle(case, answer)
            elif bound := self.purse.take(request.key, sum(len(content) for _, content in request.messages)):
                self._bound = bound
                self._aside.append(case)
            else:
                self._under_way[request.key] = case
                if self.backend.name == "local" and self.order.settings.local.guided:
                    opening = self.order.prompt.openings.get(role, "")
                    return request._replace(guide=Writing(self._judge, role, case.sentence.text, opening))
                return request
        return None

    def _spent(self) -> bool:
        """Whether the first question about a sentence was not allowed: none after it has answers in the ledger."""
        return bool(self._aside) and not self._aside[-1].told

    def _begin(self) -> bool:
        """Go on to the next sentence, if one is left."""
        sentence = next(self._sentences, None)
        if sentence is None:
            return False
        case = Case(sentence)
        self._open.append(case)
        self._stages[self._stage(case)] += 1
        self._waiting.append(case)
        return True

    def _wants_more(self) -> bool:
        """Whether the sentences under way will hardly do, by the share of the answers that have passed so far."""
        missing = self.order.wanted - len(self.made.rows)
        expected = variance = 0.0
        for (filled, attempts), cases in self._stages.items():
            likely = 1.0
            for role in self._roles[filled:]:
                likely *= 1 - (1 - self._rate(role)) ** (self.order.settings.attempts - attempts)
                attempts = 0
            expected += cases * likely
            variance += cases * likely * (1 - likely)
        return expected - SURE * math.sqrt(variance) < missing

    def _stage(self, case: Case) -> Stage:
        whole = len(case.texts) == len(self._roles)
        return len(case.texts), 0 if whole else case.attempts(self._role(case))

    def _over(self, case: Case) -> bool:
        return case.failed or len(case.texts) == len(self._roles)

    def _rate(self, role: str) -> float:
        """Share of the answers for `role` that pass; one in two where there are hardly any."""
        passed, not_passed = self.judged[role, True], self.judged[role, False]
        return (passed + 2) / (passed + not_passed + 4)

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

    def _verdict(self, role: str, text: str, answer: Answer, case: Case) -> str | None:
        """Why an answer is rejected: by what its server says, where there is no text, else by the judge."""
        if not text and answer.finish and answer.finish != LENGTH:
            return answer.finish if answer.finish.startswith(REFUSED) else answer.finish.partition(":")[0]
        if not text and thinks(answer.text):
            return THINKING
        reason = self._judge(role, text, case.sentence.text, case.texts)
        return CUT if answer.finish == LENGTH and reason in ("empty", "fragment") else reason

    def _settle(self, case: Case, answer: Answer) -> str | None:
        """Judge an answer: the text is taken and the next asked for, it is asked for again, or the case is given up."""
        role = self._role(case)
        text = read_answer(answer.text, self._judge.language, self.order.prompt.openings.get(role, ""))
        reason = self._verdict(role, text, answer, case)
        self._stages[self._stage(case)] -= 1
        case.told.append((role, answer, reason))
        self.judged[role, reason is None] += 1
        if reason is None:
            case.texts[role] = text
            self.texts += 1
            if len(case.texts) < len(self._roles):
                self._waiting.append(case)
        elif case.attempts(role) < self.order.settings.attempts and not answer.finish.startswith(REFUSED):
            self._waiting.appendleft(case)  # a local model still has the question before it
        else:
            case.failed = True
            self.texts -= len(case.texts)
        if not case.failed:
            self._stages[self._stage(case)] += 1
        self._take()
        self._progress(self)
        return reason

    def _take(self) -> None:
        """Go over the sentences in their order, up to one that is still in the making, until there are enough."""
        while self._open and self._over(self._open[0]) and not self._enough():
            self._tell(self._open.popleft())

    def _tell(self, case: Case) -> None:
        """Take what came of a sentence."""
        made = self.made
        made.sentences += 1
        if not case.failed:
            self._stages[self._stage(case)] -= 1
            plain = {normal(text) for text in (case.sentence.text, *case.texts.values())}
            if plain & self._seen:
                role, answer, _ = case.told.pop()
                case.told.append((role, answer, "duplicate"))
            else:
                self._seen |= plain
                made.rows.append(self._row(case))
        for role, answer, reason in case.told:
            made.spent = made.spent.plus(1, answer.prompt_tokens, answer.completion_tokens)
            if reason is not None:
                made.rejected[reason].add(case.sentence.text, role, answer)

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
