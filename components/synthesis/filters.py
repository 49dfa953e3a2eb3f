"""What an answer must be to become a tuple; each reason to reject one has a name of its own."""

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.config.corpus import Corpus
from components.config.synthesis import Filters
from components.corpus.language import language_probability
from components.corpus.sentences import fault
from components.synthesis.exemplars import Exemplar
from components.synthesis.tuples import Texts
from components.text import match_error_rate, normal

Encode = Callable[[list[str]], NDArray[np.floating]]  # sentences to (sentences, dim)

# Of a model that speaks to the user, refuses, or tells of its task. One that the anchor holds too is the anchor's.
CHATTER = re.compile(
    r"^(?:sure|certainly|of course|okay|sorry|note that)\b|^here (?:is|are)\b"
    r"|^(?:the |an? )?(?:answer|output|example|sentence)(?: \d+)? (?:is|would)\b|^[^\W\d][\w ]{0,19}:(?!\d)"
    r"|\bas an ai\b|\blanguage model\b|\bi(?:'m| am) (?:sorry|unable)\b|\bi (?:can(?:'t|not)|won't) "
    r"|\b(?:given|original|above|first|second) sentence\b|\bthe sentence\b|\bthis sentence\b|\bthat you are given\b"
    r"|\bparaphras|\bentail(?:s|ed|ment)\b|\bcontradict(?:s|ing|ion|ory)\b|\breword|\brephras|\bjson\b",
    re.IGNORECASE,
)
DENIAL = re.compile(r"\b(?:no|not|none|never|nobody|nothing|neither|nor|without|cannot)\b|n['’]t\b", re.IGNORECASE)
# What to change where a reason is frequent; of a reason that is not here, `whole` is the filter.
KEYS = {
    "chatter": "chatter",
    "copy of the anchor": "copies",
    "copy of an exemplar": "copies",
    "alike": "copies",
    "leak": "leaks",
    "length": "max_words and max_ratio",
    "language": "min_language",
    "invented": "invented",
    "denial": "denial",
    "no denial": "denial",
    "intermediate not shorter": "shorter",
    "negative not farther": "nearer",
    "cosine": "cosine",
}
RUN = 4  # words in a row that an answer may not have of an exemplar
EDGES = " .,;:!?\"'“”‘’()"


class Judge:
    """Judges one pattern's answers, each by itself; `known` are sentences that no text may be (of the STS tasks)."""

    def __init__(
        self,
        pattern: str,
        settings: Filters,
        language: str,
        exemplars: Iterable[Exemplar] = (),
        known: frozenset[str] = frozenset(),
        encode: Encode | None = None,
    ) -> None:
        self.language = language
        self._settings = settings
        self._denial = settings.denial and pattern == "nli"
        self._bands = settings.match_error_rate.get(pattern, {})  # type: ignore[call-overload]
        self._sentence = Corpus(min_words=settings.min_words, max_words=settings.max_words, language=language)
        exemplars = list(exemplars)
        self._named = {fact for exemplar in exemplars for text in exemplar[1:] for fact in facts(text)}
        self._shown = {run for exemplar in exemplars for text in exemplar[1:] for run in _runs(text)}
        self._known = known
        self._encode = encode

    def __call__(self, role: str, text: str, anchor: str, before: Texts) -> str | None:
        """Why `text` can't play `role` beside the anchor and the texts that passed before it; None if it can.

        What fails in several ways has the first one's name.
        """
        reason = self._of_text(text, anchor)
        if reason in (None, "fragment"):  # one that was stopped while it was written is a fragment for a reason
            reason = self._of_levels(role, text, anchor, before) or reason
        return reason or self._of_cosines([anchor, *before.values(), text])

    def asks_about(self, anchor: str) -> bool:
        """Whether a word would tell its denial: not of a sentence that itself denies something."""
        return not (self._denial and DENIAL.search(anchor))

    def hits(self, role: str, anchor: str) -> int | None:
        """How many words a text may share with the anchor, in order, before it is too near to it; None: any number."""
        if role not in self._bands:
            return None
        lowest, _ = self._bands[role]
        return math.floor((1 - lowest) * len(anchor.split()))

    def denies(self, role: str) -> bool | None:
        """Whether a text of `role` must deny something, or must not; None if that is not asked."""
        return role == "negative" if self._denial else None

    def lengths(self, role: str, anchor: str) -> tuple[int, int]:
        """How many words a text of `role` must have, and may have."""
        settings, words = self._settings, len(anchor.split())
        most = [settings.max_words]
        if settings.max_ratio is not None:
            most.append(math.floor(settings.max_ratio * words))
        if settings.shorter and role == "intermediate":
            most.append(words - 1)
        return settings.min_words, min(most)

    @property
    def whole(self) -> bool:
        """Whether a text must be one whole sentence."""
        return self._settings.whole

    def names(self, role: str) -> bool:
        """Whether a text of `role` may have no name or number but the anchor's."""
        return self._settings.invented and role != "negative"

    def _of_text(self, text: str, anchor: str) -> str | None:
        plain = bare(text)
        if not plain:
            return "empty"
        settings = self._settings
        if settings.chatter and (said := CHATTER.search(text)) and said[0].casefold() not in anchor.casefold():
            return "chatter"
        if settings.copies and plain == bare(anchor):
            return "copy of the anchor"
        if settings.copies and (
            self._shown & (_runs(text) - _runs(anchor)) or self._named & (facts(text) - facts(anchor))
        ):
            return "copy of an exemplar"
        if settings.leaks and normal(text) in self._known:
            return "leak"
        words = len(text.split())
        too_long = settings.max_ratio is not None and words > settings.max_ratio * len(anchor.split())
        if too_long or not settings.min_words <= words <= settings.max_words:
            return "length"
        # By the corpus's own rule, which forgives what the anchor has too.
        reason = fault(text, self._sentence) if settings.whole else None
        if reason == "language" and not settings.min_language:
            reason = None
        if reason is not None and reason != fault(anchor, self._sentence):
            return reason
        if settings.min_language and language_probability(text, self.language) < settings.min_language:
            return "language"
        return None

    def _of_levels(self, role: str, text: str, anchor: str, before: Texts) -> str | None:
        settings = self._settings
        if settings.copies and bare(text) in {bare(other) for other in before.values()}:
            return "alike"
        if settings.invented and role != "negative" and facts(text) - facts(anchor):
            return "invented"
        if self._denial and (denies := bool(DENIAL.search(text))) != (role == "negative"):
            return "denial" if denies else "no denial"
        if settings.shorter and role == "intermediate" and len(text.split()) >= len(anchor.split()):
            return "intermediate not shorter"
        apart = match_error_rate(normal(anchor), normal(text))
        lowest, highest = self._bands.get(role, (0.0, 1.0))
        if not lowest <= apart <= highest:
            return f"match error rate of {role}"
        nearer = before.get("intermediate") if settings.nearer and role == "negative" else None
        if nearer is not None and apart <= match_error_rate(normal(anchor), normal(nearer)):
            return "negative not farther"
        return None

    def _of_cosines(self, texts: list[str]) -> str | None:
        if self._encode is None:
            return None
        vectors = self._encode(texts)
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return None if (np.diff(vectors[1:] @ vectors[0]) < 0).all() else "cosine"


def facts(text: str) -> set[str]:
    """Numbers, and words with a capital that do not begin the text: what a true restatement takes from its anchor."""
    words = [word.strip(EDGES) for word in text.replace("-", " ").split()]
    named = {word for place, word in enumerate(words) if word[:1].isupper() and place > 0}
    return {word.casefold().removesuffix("'s") for word in named | {w for w in words if any(map(str.isdigit, w))}}


def _runs(text: str) -> set[tuple[str, ...]]:
    """Each run of RUN words: two texts that share one say the same thing in part."""
    words = [word.strip(EDGES) for word in normal(text).split()]
    return {tuple(words[at : at + RUN]) for at in range(max(len(words) - RUN, 0) + 1)}


def key_of(reason: str) -> str:
    """The key of section `synthesis` that decides on a reason to reject an answer."""
    if reason.startswith("match error rate"):
        return "filters.match_error_rate"
    if reason.startswith(("cut", "only", "empty", "no ")) and reason not in KEYS:
        return "sampling.max_tokens"
    return f"filters.{KEYS.get(reason, 'whole')}"


def bare(text: str) -> str:
    """What two texts are told to be copies by: case, white space, and the marks at both ends away."""
    return normal(text).strip(EDGES)


def known_sentences(folder: Path) -> frozenset[str]:
    """The sentences of the STS tasks in `folder`, in plain form: none may be trained on."""
    return frozenset(
        normal(text)
        for path in sorted(folder.glob("*.parquet"))
        for column in pq.read_table(path, columns=["first", "second"]).columns
        for text in column.to_pylist()
    )


def encoder_of(folder: Path) -> Encode:
    """The sentence-transformers folder as a function."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), trust_remote_code=False, model_kwargs={"use_safetensors": True})
    return lambda texts: np.asarray(model.encode(texts, show_progress_bar=False))
