"""Drift: what a version of the data looks like as a whole, held against the version that was accepted last.

A passing report says how its columns are distributed. `python -m components.validation KIND --accept` keeps that as
baselines/PROFILE/KIND.json, which git tracks: the last good version is the one that somebody has looked at and
committed, so that a slow drift can't creep from version to version, and equal files give equal verdicts. Without a
baseline nothing is judged, and the report says so.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

import great_expectations.expectations as gxe
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.config.validation import Drift
from components.errors import DataError
from components.files import written_whole
from components.paths import BASELINES
from components.validation.suite import Suite

BINS = 10  # of equally many rows, as far as ties allow
ROWS_PER_BIN = 50  # fewer, and chance alone would look like drift
FREQUENT = 200  # words at most
OCCURRENCES = 20  # of a frequent word at least: what a few texts speak of, their like need not


class Distribution(TypedDict):
    """Bins are (−∞, edge], (edge, next edge], …, (last edge, ∞)."""

    edges: list[float]
    counts: list[int]
    mean: float


class Vocabulary(TypedDict):
    """The most frequent words, and their share of a text's words on average."""

    words: list[str]
    share: float


class Profile(TypedDict):
    """One suite's table: distributions by column, and its texts' vocabulary."""

    distributions: dict[str, Distribution]
    vocabulary: NotRequired[Vocabulary]


Profiles = dict[str, Profile]  # by suite


def baseline_path(profile: str, kind: str) -> Path:
    """Where the accepted version's profiles lie; `profile` is that of params.yaml."""
    return BASELINES / profile / f"{kind}.json"


def read_baseline(path: Path) -> Profiles | None:
    """What was accepted last, None if nothing was yet.

    Raises:
        DataError: the file is broken.
    """
    if not path.is_file():
        return None
    try:
        profiles: Profiles = json.loads(path.read_text(encoding="utf-8"))
        if not all("distributions" in profile for profile in profiles.values()):
            raise ValueError("keys are missing")
    except (ValueError, AttributeError, TypeError) as error:
        raise DataError(f"{path} is no baseline ({error}); take it back from git, or accept the data anew") from None
    return profiles


def write_baseline(path: Path, profiles: Profiles) -> None:
    """Let these be what later versions are held against."""
    with written_whole(path) as aside:
        aside.write_text(json.dumps(profiles, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def profile(suite: Suite) -> Profile:
    """What the suite's table looks like as a whole."""
    found = Profile(distributions={name: _distribution(_values(suite.frame[name])) for name in suite.watched})
    if suite.vocabulary:
        texts = _sample(suite.frame)
        counts = Counter(word for text in texts for word in text.split())
        frequent = [word for word in counts if counts[word] >= OCCURRENCES]
        words = sorted(frequent, key=lambda word: (-counts[word], word))[:FREQUENT]
        found["vocabulary"] = Vocabulary(words=words, share=_mean(_familiar(texts, words)))
    return found


def watched(suite: Suite, accepted: Profile, limits: Drift) -> Suite:
    """The suite with what is expected of a version that is like the accepted one; columns are added to its table."""
    columns: dict[str, pd.Series] = {}
    expectations: list[gxe.Expectation] = []
    for name, distribution in accepted["distributions"].items():
        if name not in suite.watched:
            continue
        columns[f"{name}: bin"] = _labelled(suite.frame[name], distribution["edges"])
        expectations += _of_distribution(name, distribution, name in suite.levels, limits)
    if suite.vocabulary and (vocabulary := accepted.get("vocabulary")):
        texts = _sample(suite.frame)
        columns["familiar"] = pd.Series(_familiar(texts, vocabulary["words"]), index=texts.index)
        least = vocabulary["share"] - limits.max_unfamiliar
        expectations.append(
            gxe.ExpectColumnMeanToBeBetween(
                column="familiar",
                min_value=least,
                description=f"the {len(vocabulary['words'])} most frequent words of the accepted version, "
                f"{vocabulary['share']:.3f} of a text there, are {least:.3f} of a text or more",
            )
        )
    return suite._replace(frame=suite.frame.assign(**columns), expectations=[*suite.expectations, *expectations])


def _of_distribution(name: str, accepted: Distribution, level: bool, limits: Drift) -> Iterator[gxe.Expectation]:
    # A bin that was empty has half a row, or one row in it would be an infinite divergence.
    counts = np.asarray(accepted["counts"]) + 0.5
    yield gxe.ExpectColumnKLDivergenceToBeLessThan(
        column=f"{name}: bin",
        partition_object={"values": _labels(accepted["edges"]), "weights": (counts / counts.sum()).tolist()},
        threshold=limits.max_divergence,
        description=f"{_worded(name)} is distributed as in the accepted version: KL divergence of at most "
        f"{limits.max_divergence:g}",
    )
    if level:
        mean = accepted["mean"]
        yield gxe.ExpectColumnMeanToBeBetween(
            column=name,
            min_value=mean - limits.max_shift,
            max_value=mean + limits.max_shift,
            description=f"{_worded(name)} is on average within {limits.max_shift:g} of the accepted version's "
            f"{mean:.3f}",
        )


def _distribution(values: NDArray[np.float64]) -> Distribution:
    if not len(values):
        return Distribution(edges=[], counts=[0], mean=0.0)
    bins = int(np.clip(len(values) // ROWS_PER_BIN, 1, BINS))
    # Observed values themselves, so that a bin ends where a value does.
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf"))
    counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    return Distribution(edges=edges.round(3).tolist(), counts=counts.tolist(), mean=_mean(values))


def _labelled(values: pd.Series, edges: Sequence[float]) -> pd.Series:
    """The bin of each value by name; null where the value is."""
    present = values.dropna()
    # Edges are rounded: a value that is an edge must not fall beyond it.
    places = np.searchsorted(edges, present.to_numpy(np.float64).round(3))
    return pd.Series(np.asarray(_labels(edges), dtype=object)[places], index=present.index).reindex(values.index)


def _labels(edges: Sequence[float]) -> list[str]:
    """A bin's upper edge; its lower one is the bin before."""
    if not edges:
        return ["any"]
    return [*(f"≤ {edge:g}" for edge in edges), f"> {edges[-1]:g}"]


def _sample(frame: pd.DataFrame) -> pd.Series:
    """The evenly spaced texts whose language was told stand for all."""
    return frame.loc[frame["language"].notna() & frame["normal"].notna(), "normal"]


def _familiar(texts: pd.Series, words: Sequence[str]) -> NDArray[np.float64]:
    """Which share of each text's words is among `words`, (texts,)."""
    known = frozenset(words)
    split = [text.split() for text in texts]
    return np.array([sum(word in known for word in own) / max(len(own), 1) for own in split], np.float64)


def _values(column: pd.Series) -> NDArray[np.float64]:
    return column.dropna().to_numpy(np.float64).round(3)


def _mean(values: NDArray[np.float64]) -> float:
    return round(float(values.mean()), 6) if len(values) else 0.0


def _worded(name: str) -> str:
    if name.endswith("_apart"):
        return f"the match error rate of {name.removesuffix('_apart')} and anchor"
    return {"words": "the number of words of a text"}.get(name, f"the {name}")
