"""What every section shares: unknown keys are refused, types are not guessed, values do not change after loading."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


class Section(BaseModel):
    """Base of every section of params.yaml."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what NumPy, PyTorch and Python all take
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _is_text(name: object) -> object:
    if not isinstance(name, str):
        raise ValueError(f"YAML reads the name {name!r} as a value: put it in quotes")
    return name


def _is_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        shown = name if len(name) <= 64 else f"{name[:60]}…"
        raise ValueError(f"{shown!r} is no name: use up to 64 of a-z, A-Z, 0-9, -, _ and ., a letter or digit first")
    return name


# Of a variant, a view, a source: it becomes a folder, a stage, a deployment, a tag.
Name = Annotated[str, BeforeValidator(_is_text), AfterValidator(_is_name)]


def _is_stored_name(name: str) -> str:
    if not name or name != name.strip() or len(name) > 250 or not name.isprintable():
        raise ValueError(
            f"{name[:250]!r} is no name for MLflow: use up to 250 printable characters, none blank at an end"
        )
    return name


StoredName = Annotated[str, AfterValidator(_is_stored_name)]  # of an experiment in MLflow


def _is_model_name(name: str) -> str:
    if set(name) & set("/:@") or name in {".", ".."}:
        raise ValueError(f"MLflow registers no model named {name!r}: leave out /, : and @")
    return name


ModelName = Annotated[StoredName, AfterValidator(_is_model_name)]  # in MLflow's registry
