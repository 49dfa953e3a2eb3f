"""Does an encoder take equal length for equal meaning? (ESimCSE, section 1)"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.evaluation.sts import spearman
from components.evaluation.sts_data import StsPairs
from components.text import length_in_words

NEAR = 3  # words


class LengthBias(NamedTuple):
    """Spearman ×100 of the pairs alike in length (`near`), of the others (`far`), and `gap` = near − far.

    A positive gap means that the encoder does worse where lengths differ. A side without two pairs scores 0.
    """

    near: float
    far: float
    gap: float


def length_bias(pairs: StsPairs, cosines: NDArray[np.float64]) -> LengthBias:
    """Split pairs by whether their lengths differ by at most 3 words, in any script; `cosines` is (pairs,)."""
    texts = zip(pairs.first, pairs.second, strict=True)
    difference = np.array([abs(length_in_words(first) - length_in_words(second)) for first, second in texts])
    near, far = (100 * spearman(pairs.score[side], cosines[side]) for side in (difference <= NEAR, difference > NEAR))
    return LengthBias(near, far, near - far)
