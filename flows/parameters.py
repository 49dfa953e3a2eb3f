"""Types of the flows' parameters: what Prefect's form shows, and what its server refuses before it schedules."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from components.config import Section, load_params
from components.config.training import Training
from components.errors import ConfigError


@dataclass(frozen=True)
class OneOf:
    """Has the schema of a string list the names that are known in the working folder when the schema is made.

    The server holds values against them; the flow itself says better what is wrong with another.
    """

    names: Callable[[], list[str]]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A string, one of the names."""
        names = self.names()
        return handler(core) | ({"enum": names} if names else {})


def variants() -> list[str]:
    """Names of the variants in params.yaml; none where that can't be read, of which each flow says why."""
    try:
        return list(load_params().variants)
    except ConfigError:
        return []


def profiles() -> list[str]:
    """Names of the profiles in profiles/."""
    return sorted(path.stem for path in Path("profiles").glob("*.yaml"))


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


DataVersion = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]  # components.tracking.lineage.data_version
Variant = Annotated[str, OneOf(variants)]
Setting = Annotated[str, Field(pattern=r"^[^=]+=")]  # components.config.settings
Profile = Annotated[str, OneOf(profiles)]
if TYPE_CHECKING:

    class TrainingOverrides(Section):
        model_config = ConfigDict(extra="allow")
else:
    TrainingOverrides = _overrides()
