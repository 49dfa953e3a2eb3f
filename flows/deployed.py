"""What prefect.yaml deploys: the flows as Prefect's own objects, each made when it is asked for."""

from typing import Any

FLOWS = ("compare", "data", "experiment", "promote", "train")


def __getattr__(name: str) -> Any:
    if name not in FLOWS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"flows.{name}"), name).prefect
