"""What contrastive sentence encoders are trained by: pure functions on un-normalised `(batch, dim)` embeddings.

Cosines are taken inside. bf16 and fp16 inputs are computed in float32, under autocast too; float32 and float64 keep
their dtype, which is also that of the returned scalar.
"""

from components.objectives.arccon import arccon
from components.objectives.entailment_triplet import entailment_triplet
from components.objectives.false_negatives import false_negatives
from components.objectives.hierarchical_triplet import hierarchical_triplet
from components.objectives.info_nce import info_nce
from components.objectives.momentum import MomentumQueue

__all__ = ["MomentumQueue", "arccon", "entailment_triplet", "false_negatives", "hierarchical_triplet", "info_nce"]
