"""When a model is given up: nearly nothing of what it said last passes, so that more would be paid for nothing."""

from collections import Counter, defaultdict, deque
from typing import NamedTuple

from components.config.synthesis import Patience
from components.synthesis.backends import Answer

CUT, THINKING = "cut at max_tokens", "only thoughts"  # reasons to reject an answer besides those of `filters`
EXAMPLES = 3
LONGEST = 80  # characters of a text that is shown


class Judged(NamedTuple):
    """An answer about a sentence, and why it is rejected; None if it passed."""

    anchor: str
    answer: Answer
    reason: str | None


class Watch:
    """Keeps the last answers to each role; `given_up` is the first role for which too few of them passed."""

    def __init__(self, settings: Patience) -> None:
        self.given_up: str | None = None
        self._settings = settings
        self._last: defaultdict[str, deque[Judged]] = defaultdict(lambda: deque(maxlen=settings.answers or 0))

    def add(self, role: str, judged: Judged) -> None:
        """Take in the next answer to `role`."""
        last, enough = self._last[role], self._settings.answers
        last.append(judged)
        if enough is not None and len(last) == enough and self.given_up is None:
            passed = sum(each.reason is None for each in last)
            if passed < self._settings.min_accepted * enough:
                self.given_up = role

    def told(self, max_tokens: int) -> str:
        """How many answers were rejected, for which reasons, three of them, and what to do."""
        assert self.given_up is not None
        last = self._last[self.given_up]
        by_reason: defaultdict[str, list[Judged]] = defaultdict(list)
        for each in last:
            if each.reason is not None:
                by_reason[each.reason].append(each)
        counts = Counter({reason: len(some) for reason, some in by_reason.items()}).most_common()
        # One of each reason first.
        turns = [by_reason[reason][turn] for turn in range(EXAMPLES) for reason, count in counts if turn < count]
        examples = "; ".join(
            f"{_short(each.answer.text or each.answer.finish)} to {_short(each.anchor)}" for each in turns[:EXAMPLES]
        )
        cure = "correct the model, its prompts or synthesis.filters, or set synthesis.patience, which stopped it"
        if counts[0][0] in (CUT, THINKING):
            cure = (
                f"they reach synthesis.sampling.max_tokens ({max_tokens}; finish_reason length) before the answer is "
                "complete, as those of a model that reasons: raise it, or switch the reasoning off by "
                "synthesis.openai.extra"
            )
        return (
            f"of the last {len(last)} to role {self.given_up}, {sum(count for _, count in counts)} were rejected "
            f"({', '.join(f'{reason} {count}' for reason, count in counts)}), such as {examples}; {cure}"
        )


def _short(text: str) -> str:
    """In one line and quotation marks, of at most `LONGEST` characters."""
    line = " ".join(text.split())
    return f"“{line if len(line) <= LONGEST else line[: LONGEST - 1] + '…'}”"
