"""What is measured along the way: STS-B dev, and the geometry of held-out training pairs and of STS-B dev."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from components.config.evaluation import Evaluation
from components.encoder.model import SentenceEncoder
from components.encoder.templates import TokenIds
from components.evaluation.geometry import alignment, heldout_sample, sts_geometry_sample, uniformity
from components.evaluation.sts import evaluate_sts
from components.evaluation.sts_data import StsPairs
from components.training.rows import PartRows, Rows

DEV = "STSB-dev"


class Trace:
    """Measures an encoder without disturbing its training: random states are put back, the mode too.

    Geometry is taken with dropout active on both sides, as NGCSE measures it: without, the two sides of a dropout pair
    would coincide. The same dropout seed at every step keeps its noise out of the curve.
    """

    def __init__(
        self, encoder: SentenceEncoder, parts: Sequence[PartRows], dev: StsPairs, evaluation: Evaluation, seed: int
    ) -> None:
        self._batch_size = evaluation.batch_size
        self._seed = seed
        self._dev = dev
        self._heldout = heldout_pairs(encoder, parts, evaluation.geometry.samples, seed)
        ...
