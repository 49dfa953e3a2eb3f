"""Sections `tracking` and `experiment`: where results go, and what one experiment holds."""

from typing import Annotated

from pydantic import Field

from components.config.base import Section


class Tracking(Section):
    """The store itself is chosen by MLFLOW_TRACKING_URI; unset, it is sqlite:///mlflow.db."""

    experiment: str = "cseflow"


class Experiment(Section):
    """Which variants with which seeds; `reference` is what the others are compared with."""

    variants: Annotated[list[str], Field(min_length=1)]
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    reference: str = "untrained"
