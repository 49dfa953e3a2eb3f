"""The specification of a run: all that training and measuring read, and so what makes two runs the same.

It is what is hashed, and all that training and measuring are given: a setting that is not in it can't reach them. How
the work is laid out over processes is no part of it; `components.config.training.Layout` is passed beside it.
"""

import hashlib
import json
from typing import Any, Self

from components.config import Params, VariantSettings
from components.config.base import Section, Seed
from components.config.encoder import Encoder
from components.config.evaluation import Evaluation
from components.config.training import Recipe
from components.config.variants import Composition, Part
from components.hardware import effective_precision
from components.paths import views_of


class TokenSettings(Section):
    """What training reads of section `augmentation`: the view of kind `identity`, and the length of a tuple's texts.

    `views` is the folder of the views made with the encoder's tokenizer.
    """

    identity: str
    max_length: int
    views: str


class SourcePin(Section):
    """A source that a run reads: its entry in `sources`, and the digest of what was fetched."""

    uri: str
    sha256: str | None
    content: str


class RunSettings(Section):
    """All settings that training and measuring read.

    Attributes:
        seed: of initialisation, batches and dropout.
        data_seed: of the samples that are kept from training or measured along the way.
        variant: data, objective terms and momentum; no objective measures the encoder as it is.
        encoder, training, evaluation: the sections as they hold for this variant, in the precision of this host.
        tokens: what training reads of section `augmentation`.
    """

    seed: Seed
    data_seed: Seed
    variant: Composition
    encoder: Encoder
    training: Recipe
    tokens: TokenSettings
    evaluation: Evaluation

    @classmethod
    def of(cls, params: Params, settings: VariantSettings, seed: int) -> Self:
        """Those of a variant's `settings` with `seed`, on this host."""
        return cls(
            seed=seed,
            data_seed=params.seed,
            variant=settings.variant.composition,
            encoder=settings.encoder,
            training=settings.training.recipe(effective_precision(settings.training.precision)),
            tokens=TokenSettings(
                identity=params.augmentation.identity,
                max_length=params.augmentation.max_length,
                views=views_of(settings.encoder.source, params.encoder.source).as_posix(),
            ),
            evaluation=params.evaluation,
        )

    @property
    def parts(self) -> list[Part]:
        """The data of the variant, or what an untrained encoder is measured on."""
        return self.variant.parts(self.tokens.identity)

    @property
    def shown_encoder(self) -> dict[str, Any]:
        """The section `encoder` as runs and cards tell it: without `templates` where the pooling reads none."""
        return self.encoder.model_dump(exclude=None if self.encoder.pooling == "prompt_mask" else {"templates"})

    @property
    def tuple_sets(self) -> list[str]:
        """The sets of tuples that the variant trains on."""
        return [part.set for part in self.variant.data if part.set != "corpus"]


class RunSpec(RunSettings):
    """The settings, and all else that a run's numbers depend on.

    Attributes:
        sources: name → pin of the base encoder and of every source that is measured on.
        training_data, evaluation_data: path → digest, as dvc.lock has it.
        code: digest of the modules that decide the numbers.
        libraries: distribution → version, of those that compute.
    """

    sources: dict[str, SourcePin]
    training_data: dict[str, str]
    evaluation_data: dict[str, str]
    code: str
    libraries: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits over all of it; equal for equal runs."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:16]
