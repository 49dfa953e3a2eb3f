"""The specification of a run: all that training and measuring read, and so what makes two runs the same.

It is what is hashed, and all that training and measuring are given: a setting that is not in it can't reach them. How
the work is laid out over processes is no part of it; `components.config.training.Layout` is passed beside it.
"""

import hashlib
import json

from components.config.base import Section, Seed
from components.config.encoder import Encoder
from components.config.evaluation import Evaluation
from components.config.training import Recipe
from components.config.variants import Composition, Part


class TokenSettings(Section):
    """What training reads of section `augmentation`: the view of kind `identity`, and the length of a tuple's texts."""

    identity: str
    max_length: int


class SourcePin(Section):
    """A source that a run reads: its entry in `sources`, and the digest of what was fetched."""

    uri: str
    sha256: str | None
    content: str


class RunSpec(Section):
    """All that one run's numbers depend on.

    Attributes:
        seed: of initialisation, batches and dropout.
        data_seed: of the samples that are kept from training or measured along the way.
        variant: data, objective terms and momentum; no objective measures the encoder as it is.
        encoder, training, evaluation: the sections as they hold for this variant.
        tokens: what training reads of section `augmentation`.
        sources: name → pin of the base encoder and of every source that is measured on.
        training_data, evaluation_data: path → digest, as dvc.lock has it.
        code: digest of the modules that decide the numbers.
        libraries: distribution → version, of those that compute.
    """

    seed: Seed
    data_seed: Seed
    variant: Composition
    encoder: Encoder
    training: Recipe
    tokens: TokenSettings
    evaluation: Evaluation
    sources: dict[str, SourcePin]
    training_data: dict[str, str]
    evaluation_data: dict[str, str]
    code: str
    libraries: dict[str, str]

    @property
    def parts(self) -> list[Part]:
        """The data of the variant, or what an untrained encoder is measured on."""
        return self.variant.parts(self.tokens.identity)

    @property
    def tuple_sets(self) -> list[str]:
        """The sets of tuples that the variant trains on."""
        return [part.set for part in self.variant.data if part.set != "corpus"]

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits over all of it; equal for equal runs."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:16]
