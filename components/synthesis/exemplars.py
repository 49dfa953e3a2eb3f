"""The worked examples of a prompt: drawn once by the seed, then the same for the whole run."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from components.config.corpus import Corpus
from components.config.synthesis import Exemplars
from components.corpus.sentences import fault
from components.errors import ConfigError, DataError
from components.paths import NLI, STS_TRAIN
from components.synthesis.tuples import ROLES, Texts
from components.text import match_error_rate, normal

SHORTER = 0.6  # words of an intermediate sentence for each of its anchor, at most


class Exemplar(NamedTuple):
    """A sentence and the text that answers it; `id` says where they stand, such as `nli-own:3` or `STSB-train:31`."""

    id: str
    anchor: str
    text: str


ByRole = dict[str, tuple[Exemplar, ...]]
Judging = Callable[[str, str, str, Texts], str | None]  # role, text, anchor, texts before it: why it is rejected


def draw_exemplars(pattern: str, settings: Exemplars, seed: int, language: str, judge: Judging) -> ByRole:
    """`settings.count` exemplars for each role of `pattern`, all of whole sentences; no sentence stands in two.

    STS: pairs of STS-B's train split, of which each role has a band of scores. NLI: rows of data/nli, or of our own
    file where that is empty. None is shown that `judge` would reject as an answer: it would teach what is rejected.

    Raises:
        ConfigError: there are too few.
        DataError: STS-B's train split is missing.
    """
    bounds = Corpus(min_words=3, max_words=64, language=language)
    drawn: ByRole = {}
    used: set[str] = set()
    missing: list[str] = []
    for number, role in enumerate(ROLES[pattern]):
        found = list(_of_stsb(role, settings) if pattern == "sts" else _of_nli(role))
        chosen: list[Exemplar] = []
        reasons: Counter[str] = Counter()
        reason: str | None
        for place in np.random.default_rng([seed, number]).permutation(len(found)):
            exemplar = found[place]
            if len(chosen) == settings.count:
                break
            reason = "shown before"
            if used.isdisjoint(exemplar[1:]):
                reason = _unfit(role, exemplar, settings, bounds, judge)
            if reason is None:
                chosen.append(exemplar)
                used.update(exemplar[1:])
            else:
                reasons[reason] += 1
        if len(chosen) < settings.count:
            unfit = "".join(f", {count} {reason}" for reason, count in reasons.most_common())
            missing.append(
                f"only {len(chosen)} of the {settings.count} exemplars for {role} of pattern {pattern} "
                f"(of {len(found):,} candidates{unfit})"
            )
        drawn[role] = tuple(chosen)
    if missing:
        raise ConfigError(
            f"{'; '.join(missing)}: lower synthesis.exemplars.count, or widen the bands and lengths of "
            "synthesis.exemplars or what synthesis.filters lets pass"
        )
    return drawn


def _of_nli(role: str) -> Iterator[Exemplar]:
    path = NLI / "train.parquet"
    if path.is_file():
        source, rows = "nli-train", pq.read_table(path, columns=["anchor", role]).slice(0, 100_000).to_pylist()
    else:
        own = files(__package__) / "exemplars" / "nli.jsonl"
        source, rows = "nli-own", [json.loads(line) for line in own.read_text(encoding="utf-8").splitlines()]
    for number, row in enumerate(rows):
        yield Exemplar(f"{source}:{number}", row["anchor"], row[role])


def _of_stsb(role: str, settings: Exemplars) -> Iterator[Exemplar]:
    if not STS_TRAIN.is_file():
        raise DataError(f"{STS_TRAIN} is missing: the source of STS-B needs its train split; then run `dvc repro sts`")
    lowest, highest = settings.sts[role]  # type: ignore[index]
    for number, row in enumerate(pq.read_table(STS_TRAIN).to_pylist()):
        anchor, text = row["first"], row["second"]
        if not lowest <= row["score"] <= highest:
            continue
        if role == "intermediate" and len(text.split()) > SHORTER * len(anchor.split()):
            continue
        yield Exemplar(f"STSB-train:{number}", anchor, text)


def _unfit(role: str, exemplar: Exemplar, settings: Exemplars, bounds: Corpus, judge: Judging) -> str | None:
    """Why an exemplar is not shown; None if it may be."""
    _, anchor, text = exemplar
    if not settings.min_words <= len(anchor.split()) <= settings.max_words:
        return "too short or long"
    if len(text.split()) > settings.max_ratio * len(anchor.split()):
        return "above max_ratio"
    if match_error_rate(normal(anchor), normal(text)) < settings.min_match_error_rate:
        return "near copies"
    return fault(anchor, bounds) or judge(role, text, anchor, {})
