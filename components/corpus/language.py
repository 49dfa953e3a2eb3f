"""How sure it is that a sentence is of a language, by py3langid: of one sentence, or of many at less cost.

Its model is a naive Bayes classifier over the byte n-grams that an automaton finds (Lui and Baldwin 2012, "langid.py:
An Off-the-shelf Language Identification Tool", section 3). It reads a sentence byte by byte in Python; here the
automaton takes a step in all sentences at once, and one sparse product scores them.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from py3langid.langid import MODEL_FILE, LanguageIdentifier
from scipy.sparse import csr_array
from scipy.special import softmax


def language_probability(sentence: str, language: str) -> float:
    """How sure it is, in [0, 1], that `sentence` is in `language` (ISO 639-1); 0 for an unknown language."""
    likeliest, probability = _identifier().classify(sentence)  # as ranked, without the cost of sorting the others
    return float(probability if likeliest == language else dict(_identifier().rank(sentence)).get(language, 0.0))


def language_probabilities(sentences: Sequence[str], language: str) -> NDArray[np.float64]:
    """`language_probability` of each of `sentences`, (sentences,), up to rounding."""
    model = _identifier()
    columns = [column for column, name in enumerate(model.nb_classes) if name == language]
    if not columns or not sentences:
        return np.zeros(len(sentences))
    encoded = [_encoded(sentence) for sentence in sentences]
    counts = _counts(encoded)
    scores = np.log1p(counts) @ _weights() + model.nb_pc
    scores[np.diff(counts.indptr) == 0] = 0  # nothing found: every language alike
    scores /= np.sqrt([[max(1, len(text))] for text in encoded])  # so that long sentences are not all too sure
    return np.asarray(softmax(scores, axis=1)[:, columns].sum(axis=1))


def _encoded(sentence: str) -> bytes:
    """The bytes that the automaton reads, as py3langid makes them."""
    text = sentence.lower() if sentence.isupper() else sentence
    return unicodedata.normalize("NFC", text).encode("utf-8", errors="surrogatepass")


def _counts(texts: list[bytes]) -> csr_array:
    """How often each n-gram of the model is in each text, (texts, n-grams)."""
    following, base, found = _automaton()
    lengths = np.array([len(text) for text in texts])
    order = np.argsort(-lengths, kind="stable")  # the longest first, so that those not yet at their end lie together
    ordered = lengths[order]
    letters = np.frombuffer(b"".join(texts[k] for k in order), np.uint8)
    at = np.cumsum(ordered) - ordered  # where each text is read
    reading = np.searchsorted(-ordered, -np.arange(ordered[0]), side="left")  # texts that are longer than so many bytes
    state = np.zeros(len(texts), np.int64)
    rows, grams = [order[:0]], [found[:0]]
    for count in reading:
        at = at[:count]
        state = following[base[state[:count]] + letters[at]]
        at += 1
        gram = found[state]
        hits = np.flatnonzero(gram >= 0)
        rows.append(order[hits])
        grams.append(gram[hits])
    places = np.concatenate(rows), np.concatenate(grams)
    shape = len(texts), len(_identifier().nb_ptc)
    return csr_array((np.ones(len(places[0]), np.float32), places), shape=shape)  # which adds what falls in one place


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@cache
def _automaton() -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]:
    """What follows on a state and a byte, where a state's followers begin, and the n-gram that a state ends, or -1."""
    model = _identifier()
    base = np.frombuffer(model.tk_row, np.uint16).astype(np.int64) << 8
    return np.frombuffer(model.tk_nextmove, np.uint32), base, np.array(model.tk_output)


@cache
def _weights() -> NDArray[np.float32]:
    return np.asarray(_identifier().nb_ptc, dtype=np.float32)
