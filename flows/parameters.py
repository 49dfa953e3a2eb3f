"""Types of the flows' parameters: what Prefect's form shows, and what its server refuses before it schedules."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field, WithJsonSchema, create_model

from components.config import Params, Section, load_params
from components.config.training import Training
from components.errors import ConfigError


def _one_of(names: list[str]) -> Any:
    """A string that the server holds against `names`; the flow itself says better what is wrong with another."""
    return Annotated[str, WithJsonSchema({"type": "string", "enum": names})] if names else str


def _known_params() -> Params | None:
    try:
        return load_params()
    except ConfigError:  # each flow loads them again, and says so
        return None


def _overrides() -> Any:
    """Section `training` with every key optional."""
    fields: dict[str, Any] = {}
    for name, field in Training.model_fields.items():
        kind: Any = field.annotation
        for constraint in field.metadata:
            kind = Annotated[kind, constraint]
        fields[name] = (kind | None, None)
    return create_model(
        "TrainingOverrides",
        __base__=Section,
        __module__=__name__,
        __doc__="Keys of section `training` to replace for one run; what is left out stays as params.yaml has it.",
        **fields,
    )


Seed = Annotated[int, Field(ge=0)]
DataVersion = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]  # components.tracking.lineage.data_version
if TYPE_CHECKING:
    Variant = str
    Profile = str

    class TrainingOverrides(Section):
        model_config = ConfigDict(extra="allow")
else:
    _params = _known_params()
    Variant = _one_of(list(_params.variants) if _params else [])
    Profile = _one_of(sorted(path.stem for path in Path("profiles").glob("*.yaml")))
    TrainingOverrides = _overrides()
