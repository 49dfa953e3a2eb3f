"""Where data and base encoder come from, fit for a public page: no path of this machine, no secret."""

from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from components import paths
from components.config import Params
from components.config.sources import HUB, Source
from components.paths import SOURCES


class Origin(NamedTuple):
    """A source as the card names it: what it is, its license and the sha256 that pins it, as far as they are known.

    `hub` is OWNER/NAME of a repository of the Hugging Face hub, None for any other source.
    """

    text: str
    license: str | None
    sha256: str | None
    hub: str | None


def origin(params: Params, name: str) -> Origin:
    """That of the entry `name` of section `sources`."""
    source = params.sources[name]
    form = HUB.fullmatch(source.address.artefact)
    known = source.license or _license_of(SOURCES / name)
    return Origin(_text(source), known, source.sha256, form["repo"] if form else None)


def sources_of(path: str, params: Params) -> list[str]:
    """The entries of `sources` that the data set at `path`, as dvc.lock has it, was made from."""
    pure = PurePosixPath(path)
    if pure.is_relative_to(paths.STS):
        sts = sts_sources(params)
        found = [sts.get(pure.stem) or sts.get(pure.stem.removesuffix("-dev"), "")]
    elif pure.is_relative_to(paths.SETS):
        found = [params.sets[pure.stem].source] if pure.stem in params.sets else []
    elif pure.is_relative_to(paths.NLI):
        found = ["nli"]
    elif pure.is_relative_to(paths.TUPLES):
        found = ["corpus"] + ([params.synthesis.local.source] if params.synthesis.backend == "local" else [])
    else:
        found = ["corpus"]
    return [name for name in found if name in params.sources]


def sts_sources(params: Params) -> dict[str, str]:
    """STS task → its entry of `sources`; tasks of one's own are among them."""
    known = {str(task): source for task, source in params.evaluation.sts.items()}
    return known | {name: task.source for name, task in params.evaluation.tasks.items()}


def _text(source: Source) -> str:
    scheme, artefact, member = source.address
    place = artefact.removeprefix(f"{scheme}://")
    if scheme == "file":
        place = PurePosixPath(unquote(place)).name
    elif scheme == "https":
        parts = urlsplit(artefact)  # a query may hold a key
        place = f"https://{parts.hostname}{parts.path}"
    inside = f", {member}" if member else ""
    kinds = {"file": "a local file, ", "wheel": "the Python package ", "hf": "the Hugging Face hub, ", "https": ""}
    return f"{kinds[scheme]}{place}{inside}"


def _license_of(folder: Path) -> str | None:
    """What the card of a fetched repository names as its license."""
    from huggingface_hub import metadata_load

    path = folder / "README.md"
    if not path.is_file():
        return None
    try:
        found = (metadata_load(path) or {}).get("license")
    except Exception:  # whatever someone has written there
        return None
    return found if isinstance(found, str) and found.isprintable() else None
