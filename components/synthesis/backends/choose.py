"""The backend that params.yaml names; what it takes to import one is imported only then."""

from pathlib import Path
from typing import Any

from components.config.synthesis import Synthesis
from components.synthesis.backends import Backend


def backend_of(settings: Synthesis, schema: dict[str, Any], sources: Path) -> Backend:
    """The backend `settings.backend`; `schema` is an answer's JSON schema, `sources` the folder of what was fetched.

    Raises:
        CseflowError: there is no model, no key or no record; the text says what to do.
    """
    if settings.backend == "openai":
        from components.synthesis.backends.openai import OpenAiBackend

        return OpenAiBackend(settings.openai, settings.sampling, schema=schema)
    if settings.backend == "replay":
        from components.synthesis.backends.replay import ReplayBackend

        return ReplayBackend(settings.replay)
    from components.synthesis.backends.local.backend import LocalBackend

    own = settings.local
    return LocalBackend(sources / own.source, settings.sampling, own.batch_size, own.precision)
