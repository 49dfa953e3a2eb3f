"""What the filters say while an answer is being written, so that a local model wastes few tokens on a rejected one."""

from rapidfuzz.distance import LCSseq

from components.corpus.sentences import ABBREVIATION, CLOSING, ENDS
from components.synthesis.filters import DENIAL, EDGES, Judge, facts
from components.text import normal

MARKS = tuple(".!?")  # that end a sentence after a word; the others of `ENDS` do so anywhere
TAIL = 16  # characters, more than any abbreviation takes


class Writing:
    """Guides the text of `role` to `anchor`, which begins with `opening`; see `Guide`.

    A text is over with its first sentence, or when the judge will reject it whatever follows: it is too long, holds a
    name or number that the anchor lacks, denies something, or has too many of the anchor's words in its order. A
    negative has other words drawn instead, for it may say anything else, and does not end before its denial.
    """

    def __init__(self, judge: Judge, role: str, anchor: str, opening: str = "") -> None:
        self._opening = opening
        self._free = role == "negative"
        self._names = judge.names(role)
        self._facts = facts(anchor)
        self._words = normal(anchor).split()
        self._hits = judge.hits(role, anchor)
        self._denies = judge.denies(role)
        self._shortest, self._longest = judge.lengths(role, anchor)
        self._whole = judge.whole

    def allows(self, text: str, ended: bool) -> bool:
        """See `Guide`."""
        if not self._free:  # what other words a small model finds for a positive say something else
            return True
        text = self._body(text)
        ended = ended or "\n" in text
        if ended and self._whole and not text.rstrip().rstrip(CLOSING).endswith(ENDS):
            return False
        denial = self._denies and DENIAL.search(text) is not None
        ended = ended or _is_sentence(text)
        if ended and (len(text.split()) < self._shortest or (self._denies and not denial)):
            return False
        return bool(denial) or not self._is_near(text)

    def over(self, text: str) -> bool:
        """See `Guide`."""
        text = self._body(text)
        words = len(text.split())
        if words > self._longest or "\n" in text or _is_sentence(text):
            return True
        if self._free:
            return bool(self._denies) and words > len(self._words) and not DENIAL.search(text)
        denial = DENIAL.search(text) if self._denies is False else None
        denies = denial is not None and denial.end() < len(text)  # the last word may go on
        return denies or self._is_near(text) or (self._names and not self._named(text))

    def _is_near(self, text: str) -> bool:
        return self._hits is not None and LCSseq.similarity(normal(text).split(), self._words) > self._hits

    def _body(self, text: str) -> str:
        return text.removeprefix(self._opening).lstrip()

    def _named(self, text: str) -> bool:
        """Whether the last two words of `text`, of which the very last may go on, are or may become the anchor's."""
        words = text.replace("-", " ").split()
        for place in range(max(len(words) - 2, 0), len(words)):
            word = words[place].strip(EDGES)
            if not any(map(str.isdigit, word)) and not (word[:1].isupper() and place > 0):
                continue
            word = word.casefold().removesuffix("'s")
            goes_on = place == len(words) - 1 and not text[-1:].isspace()
            if word not in self._facts and not (goes_on and any(fact.startswith(word) for fact in self._facts)):
                return False
        return True


def _is_sentence(text: str) -> bool:
    """Whether `text` ends as a sentence does, whatever may follow: after a word, outside of brackets and quotation."""
    text = text.rstrip()
    if text.count('"') % 2 or text.count("(") > text.count(")") or text.count("“") > text.count("”"):
        return False
    text = text.rstrip(CLOSING)
    if not text.endswith(MARKS):
        return text.endswith(ENDS)
    word = text[-3:-1]
    return word.isalpha() and word.islower() and not ABBREVIATION.search(text[-TAIL:])
