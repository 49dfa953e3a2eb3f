"""Section `validation`: the thresholds of each kind of data set's suite."""

from typing import Annotated

from pydantic import Field, PositiveInt

from components.config.base import Section, Share

Above = Annotated[float, Field(gt=0)]


class CorpusSuite(Section):
    """Sentences of the training and held-out splits."""

    min_rows: PositiveInt = 1000
    max_residue: Share = 0.001  # share of rows in which markup is left
    max_foreign: Share = 0.02  # share of rows told to be of another language
    language_rows: PositiveInt = 20_000  # evenly spaced rows of each split that are asked for their language


class StsSuite(Section):
    """Sentence pairs with gold scores; `rows` are the published sizes of tasks, held against those that are there."""

    rows: dict[str, PositiveInt] = Field(default_factory=dict)
    max_leakage: Share = 0.001  # share of training sentences that also stand in an STS pair


class ViewSuite(Section):
    """Tokenised views of both splits."""

    max_empty: Share = 0.001  # share of sentences without a token
    max_unchanged: Share = 0.5  # share of sentences in which word repetition repeats nothing; 1/3 is to be expected
    tokenised_rows: PositiveInt = 1000  # evenly spaced sentences of each split that are tokenised anew, to compare


class TripletSuite(Section):
    """Tuples of any origin, each file by itself; a text is an anchor, positive, … of any row."""

    min_rows: PositiveInt = 100
    min_words: PositiveInt = 3
    max_words: PositiveInt = 64
    max_residue: Share = 0.001  # share of texts in which markup is left
    max_foreign: Share = 0.02  # share of texts told to be of another language than the corpus
    language_rows: PositiveInt = 20_000  # evenly spaced texts of each file that are asked for their language
    max_leakage: Share = 0.001  # share of texts that also stand in an STS pair
    max_duplicates: Share = 0.0  # share of tuples whose anchor is another's too
    max_copies: Share = 0.0  # share of tuples with two equal texts
    min_match_error_rate: Share = 0.1  # of a positive to its anchor; below, it is a near copy
    max_near_copies: Share = 0.05  # share of tuples whose positive is one


class NliSuite(TripletSuite):
    """Triplets that people wrote, for a profile with a source `nli`: they differ less strictly, and are shorter."""

    min_rows: PositiveInt = 1000
    min_words: PositiveInt = 1
    max_words: PositiveInt = 512
    max_residue: Share = 0.05
    max_foreign: Share = 0.2  # hypotheses of three words are hard to tell
    max_leakage: Share = 0.01  # SNLI and some STS tasks describe the same pictures
    max_duplicates: Share = 0.01
    max_copies: Share = 0.02
    max_near_copies: Share = 0.1


class SetSuite(NliSuite):
    """Pairs and tuples that others made, of section `sets`."""


class TupleSuite(TripletSuite):
    """Tuples in the NLI and the STS pattern, made by synthesis."""

    max_disorder: Share = 0.05  # share of STS tuples whose intermediate is no nearer to the anchor than the negative
    max_rejected: Share = 0.8  # share of the answers that synthesis threw away


class Drift(Section):
    """How far a version of the data may be from the one accepted last (baselines/), where one was."""

    max_divergence: Above = 0.1  # Kullback-Leibler, in nats, of a column's distribution
    max_shift: Above = 0.1  # of the mean match error rate of a level to its anchor
    max_unfamiliar: Share = 0.05  # by how much the most frequent words' share of a text may fall


class Validation(Section):
    """`sample` bad rows are shown with a failing expectation."""

    sample: PositiveInt = 5
    drift: Drift = Drift()
    corpus: CorpusSuite = CorpusSuite()
    views: ViewSuite = ViewSuite()
    sts: StsSuite = StsSuite()
    nli: NliSuite = NliSuite()
    sets: SetSuite = SetSuite()
    tuples: TupleSuite = TupleSuite()
