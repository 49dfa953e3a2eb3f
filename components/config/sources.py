"""Section `sources`: where bytes come from."""

from typing import Annotated

from pydantic import Field

from components.config.base import Section, Sha256


class Source(Section):
    """One pinned source.

    `uri` is `wheel://NAME==VERSION/path/in/wheel`, `hf://datasets/OWNER/NAME[@REV][/file]`, `hf://models/OWNER/NAME[@REV]`,
    `https://…` or `file://…`; `sha256` is that of the downloaded artefact (the wheel, the file; for a folder, of its
    sorted `sha256  path` lines), or null where the hub's revision is the pin.
    """

    uri: Annotated[str, Field(pattern=r"^(wheel|hf|https|file)://.+")]
    sha256: Sha256 | None = None
