"""Sections `tracking` and `experiment`: where results go, and what one experiment holds."""

from typing import Annotated

from pydantic import Field

from components.config.base import Section, Seed, StoredName


class Tracking(Section):
    """The store itself is chosen by MLFLOW_TRACKING_URI; unset, it is sqlite:///mlflow.db."""

    experiment: StoredName = "cseflow"


class Experiment(Section):
    """Which variants with which seeds; `reference` is what the others are compared with."""

    variants: Annotated[list[str], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]
    reference: str = "untrained"
