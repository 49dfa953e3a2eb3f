"""Section `validation`: the thresholds of each kind of data set's suite."""

from pydantic import Field

from components.config.base import Positive, Section, Share


class CorpusSuite(Section):
    """Sentences of the training and held-out splits."""

    min_rows: Positive = 1000
    max_residue: Share = 0.001  # share of rows in which markup is left
    max_foreign: Share = 0.02  # share of rows told to be of another language
    language_rows: Positive = 20_000  # evenly spaced rows of each split that are asked for their language


class StsSuite(Section):
    """Sentence pairs with gold scores; `rows` are the published sizes of tasks, held against those that are there."""

    rows: dict[str, Positive] = Field(default_factory=dict)
    max_leakage: Share = 0.001  # share of training sentences that also stand in an STS pair


class TupleSuite(Section):
    """Tuples in the NLI and the STS pattern, each file by itself; a text is an anchor, positive, … of any row."""

    min_rows: Positive = 100
    min_words: Positive = 3
    max_words: Positive = 64
    max_residue: Share = 0.001  # share of texts in which markup is left
    max_foreign: Share = 0.02  # share of texts told to be of another language than the corpus
    language_rows: Positive = 20_000  # evenly spaced texts of each file that are asked for their language
    max_leakage: Share = 0.001  # share of texts that also stand in an STS pair
    min_match_error_rate: Share = 0.1  # of a positive to its anchor; below, it is a near copy
    max_disorder: Share = 0.2  # share of STS tuples whose intermediate is no nearer to the anchor than the negative


class Validation(Section):
    """`sample` bad rows are shown with a failing expectation."""

    sample: Positive = 5
    corpus: CorpusSuite = CorpusSuite()
    sts: StsSuite = StsSuite()
    tuples: TupleSuite = TupleSuite()
