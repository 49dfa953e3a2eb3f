"""Four views of a million tokenised sentences: word repetition, token shuffle, token cutoff, span mask.

The peer is nlpaug where it has such a view (cutoff: RandomWordAug puts a pad token in the place of random tokens), and
else a plain loop over the sentences: nlpaug's swap exchanges neighbours and its crop removes words, which are other
views. A second row has the plain loop for all four. Both sides are given token ids in memory and give token ids; the
peers' time is linear in the sentences, so that a part of them is timed. Ours uses all cores, as the stage does.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pyarrow.parquet as pq
from numpy.random import Generator, Philox, SeedSequence

from benchmarks.floor import copy_rate
from benchmarks.harness import ROUNDS, Floor, Row, Sample, compared, interleaved, main, require
from components.augmentation.shards import CHUNK
from components.augmentation.tokens import Tokens, tokenise
from components.augmentation.views import span_mask, token_cutoff, token_shuffle, word_repetition
from components.config import load_params
from components.paths import CORPUS, SOURCES
from components.processes import usable_cores

SENTENCES = 1_000_000
PLAIN, NLPAUG = 20_000, 2_000  # sentences a round of the peers
PAD, MASK = -1, -2
CUTOFF_VIEW = "token cutoff"
REPETITION, CUTOFF, NEAR, FAR = 0.32, 0.05, 0.2, 0.4
Sentence = list[int]
View = Callable[[Tokens, Generator], Tokens]

OURS: dict[str, View] = {
    "word repetition": lambda tokens, generator: word_repetition(tokens, generator, rate=REPETITION),
    "token shuffle": token_shuffle,
    "token cutoff": lambda tokens, generator: token_cutoff(tokens, generator, pad_id=PAD, rate=CUTOFF),
    "span mask": lambda tokens, generator: span_mask(tokens, generator, mask_id=MASK, near=NEAR, far=FAR)[1],
}


def repeated(sentence: Sentence) -> Sentence:
    number = random.randint(0, min(len(sentence), max(2, int(REPETITION * len(sentence)))))
    places = set(random.sample(range(len(sentence)), number))
    out = []
    for place, token in enumerate(sentence):
        out.append(token)
        if place in places:
            out.append(token)
    return out


def shuffled(sentence: Sentence) -> Sentence:
    out = sentence[:]
    random.shuffle(out)
    while out == sentence and len(set(sentence)) > 1:
        random.shuffle(out)
    return out


def cut_off(sentence: Sentence) -> Sentence:
    out = sentence[:]
    for place in random.sample(range(len(out)), min(max(1, int(CUTOFF * len(out))), len(out) - 1)):
        out[place] = PAD
    return out


def masked(sentence: Sentence) -> Sentence:
    length = len(sentence)
    short, long = max(1, int(NEAR * length + 0.5)), min(int(FAR * length + 0.5), length - 1)
    if short >= long:
        return []
    first = random.randint(0, length - short)
    left = random.randint(max(0, first + long - length), min(long - short, first))
    near, far = sentence[:], sentence[:]
    near[first : first + short] = [MASK] * short
    far[first - left : first - left + long] = [MASK] * long
    return far


LOOPS: dict[str, Callable[[Sentence], Sentence]] = {
    "word repetition": repeated,
    "token shuffle": shuffled,
    "token cutoff": cut_off,
    "span mask": masked,
}


def with_nlpaug() -> Callable[[list[Sentence]], list[Sentence]]:
    """Token cutoff by nlpaug, over token ids written as words."""
    from nlpaug.augmenter.word import RandomWordAug

    augmenter = RandomWordAug(
        action="substitute",
        target_words=[str(PAD)],
        aug_p=CUTOFF,
        aug_min=1,
        aug_max=1,  # what 5 % come to at 32 tokens, rounded down; nlpaug rounds up
        tokenizer=str.split,
        reverse_tokenizer=" ".join,
    )

    def cutoff(sentences: list[Sentence]) -> list[Sentence]:
        texts = augmenter.augment([" ".join(map(str, sentence)) for sentence in sentences])
        return [[int(token) for token in text.split()] for text in texts]

    return cutoff


def corpus_tokens(count: int) -> list[Tokens]:
    """Sentences of the corpus, tokenised and cut to 32, over and over: `count` of them in chunks, as the stage has."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(SOURCES / load_params().encoder.source, trust_remote_code=False)
    tokens = tokenise(pq.read_table(CORPUS / "train.parquet")["text"].to_pylist(), tokenizer, 32)
    available = len(tokens.offsets) - 1
    return [tokens.take(np.arange(start, min(start + CHUNK, count)) % available) for start in range(0, count, CHUNK)]


def characteristic(name: str, view: list[Sentence]) -> float:
    """What a view does to a sentence, on average: its length, its hidden or its masked tokens."""
    hidden = {"token cutoff": PAD, "span mask": MASK}.get(name)
    return float(np.mean([len(sentence) if hidden is None else sentence.count(hidden) for sentence in view]))


def measure(quick: bool) -> Iterator[Row]:
    count = SENTENCES // 10 if quick else SENTENCES
    chunks = corpus_tokens(count)
    sentences = chunks[0].take(np.arange(PLAIN) % CHUNK).lists()
    cutoff = with_nlpaug()
    made: dict[str, dict[str, list[Sentence]]] = {"cseflow": {}, "loop": {}, "nlpaug": {}}
    random.seed(0)

    def ours(name: str) -> Sample:
        seed = SeedSequence([0, list(OURS).index(name)])
        generators = [Generator(Philox(child)) for child in seed.spawn(len(chunks))]
        start = time.perf_counter()
        with ThreadPoolExecutor(usable_cores()) as pool:
            views = list(pool.map(OURS[name], chunks, generators))
        seconds = time.perf_counter() - start
        made["cseflow"][name] = views[0].lists()
        return Sample(count, seconds)

    def loop(name: str) -> Sample:
        start = time.perf_counter()
        made["loop"][name] = [LOOPS[name](sentence) for sentence in sentences]
        return Sample(len(sentences), time.perf_counter() - start)

    def nlpaug(name: str) -> Sample:
        start = time.perf_counter()
        made["nlpaug"][name] = cutoff(sentences[:NLPAUG])
        return Sample(NLPAUG, time.perf_counter() - start)

    contestants = {f"{side.__name__}: {name}": partial(side, name) for name in OURS for side in (ours, loop)}
    contestants[f"nlpaug: {CUTOFF_VIEW}"] = partial(nlpaug, CUTOFF_VIEW)
    samples = interleaved(contestants, rounds=3 if quick else ROUNDS)

    for name in OURS:
        for side in ("loop", "nlpaug"):
            if name in made[side]:
                one, other = (characteristic(name, made[who][name]) for who in ("cseflow", side))
                require(abs(one / other - 1) < 0.05, f"{name}: {one:.3f} tokens on average against {other:.3f}")
    kept = map(sorted, made["cseflow"]["token shuffle"][: len(sentences)])
    require(list(kept) == [*map(sorted, sentences)][:CHUNK], "a shuffled sentence has other tokens")

    def together(*names: str) -> list[Sample]:
        """Of each round, the seconds for one sentence of all views."""
        return [
            Sample(1, sum(1 / sample.rate for sample in each))
            for each in zip(*(samples[n] for n in names), strict=True)
        ]

    all_ours = together(*(f"ours: {name}" for name in OURS))
    loops = [f"loop: {name}" for name in OURS]
    with_peer = [f"nlpaug: {CUTOFF_VIEW}" if name == f"loop: {CUTOFF_VIEW}" else name for name in loops]
    rates = {name: round(statistics.median(sample.rate for sample in each)) for name, each in samples.items()}
    tokens = float(np.mean([len(sentence) for sentence in sentences]))
    notes = {"tokens of a sentence": round(tokens, 1), "sentences/s of each view": rates}
    size = 4 * tokens  # bytes; each view reads and writes them, the span mask writes two
    floor = Floor("bytes of the tokens read and written over the rate of a copy", copy_rate() / (9 * size))
    for peers, names in (("nlpaug (cutoff), a plain loop (others)", with_peer), ("a plain loop", loops)):
        yield compared(
            f"four views of {count:,} sentences",
            {"cseflow": all_ours, "peer": together(*names)},
            peer=peers,
            unit="sentences/s",
            at_least=20,
            floor=floor,
            notes=notes,
            libraries=["nlpaug"],
        )


if __name__ == "__main__":
    main(__doc__, measure)
