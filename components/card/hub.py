"""An encoder's folder sent to a hub by Hugging Face's API, in one commit: the repository has all of it or none."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from components.card.card import CARD, with_name
from components.errors import ConfigError, CseflowError, UnreachableError
from components.files import written_whole
from components.sources.hub import is_away

if TYPE_CHECKING:
    from huggingface_hub import HfApi

KEPT = {".gitattributes"}  # the hub's own
_REPOSITORY = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")


class Pushed(NamedTuple):
    """Attributes:
    url: of the repository.
    files: path → size in bytes, of what it holds now.
    removed: files that it held before.
    """

    url: str
    files: dict[str, int]
    removed: list[str]


def require_name(repository: str) -> None:
    """See that `repository` is OWNER/NAME.

    Raises:
        ConfigError: it isn't.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise ConfigError(f"{repository!r} is no repository of a hub: write OWNER/NAME, of letters, digits, -, _ and .")


def endpoint() -> str:
    """The hub's address: `HF_ENDPOINT`, or Hugging Face's."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def contents(folder: Path) -> dict[str, int]:
    """Path in `folder` → size in bytes of every file, sorted.

    Raises:
        CseflowError: it holds an adapter whose base is a folder of this machine, so that nobody else can load it.
    """
    adapter = folder / "adapter_config.json"
    base = json.loads(adapter.read_text(encoding="utf-8"))["base_model_name_or_path"] if adapter.is_file() else ""
    if Path(base).is_absolute():
        raise CseflowError(
            f"{adapter}: base_model_name_or_path is {base} on this machine; name the base as the hub has it, or train "
            "with encoder.lora.merge: true"
        )
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: files[name].stat().st_size for name in sorted(files)}


def name_in_card(folder: Path, repository: str) -> None:
    """Have the card of `folder` load `repository` in its example."""
    path = folder / CARD
    if path.is_file():
        text = path.read_text(encoding="utf-8")
        with written_whole(path) as aside:
            aside.write_text(with_name(text, repository), encoding="utf-8")


def push(folder: Path, repository: str, *, private: bool = False, message: str = "Encoder by cseflow") -> Pushed:
    """Have `repository`, OWNER/NAME, hold the files of `folder` and no other; it is made if it isn't there.

    The token is the client's: `HF_TOKEN`, or that of `hf auth login`.

    Args:
        folder: as it was exported.
        repository: stays as visible as it is, if it is there.
        private: make it so that only its owners see it.
        message: of the commit.

    Raises:
        ConfigError: there is no token, or `repository` is no name.
        CseflowError: the hub refuses the token or the repository, which may be another's; or it is public, and
            `private` is asked for.
        UnreachableError: no hub answers.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError

    require_name(repository)
    token = get_token()
    if token is None:
        raise ConfigError(
            f"there is no token for {endpoint()}: set HF_TOKEN to one that may write, or log in with hf auth login"
        )
    api = HfApi(endpoint=endpoint(), token=token, library_name="cseflow")
    files = contents(folder)
    with _refusals(repository):
        try:
            api.create_repo(repository, private=private)
        except HfHubHTTPError as error:
            # 409: it is there; 402 and 403: it may be, and be written to by a token that may make none.
            if error.response.status_code not in (402, 403, 409) or not _is_there(api, repository):
                raise
        if private and not api.model_info(repository).private:
            raise CseflowError(
                f"{repository} is public on {endpoint()}, and --private changes no repository that is there: make it "
                "private in its settings, or choose another name"
            )
        there = set(api.list_repo_files(repository))
        removed = sorted(there - set(files) - KEPT)
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(CommitOperationDelete(name) for name in removed),
            *(CommitOperationAdd(name, folder / name) for name in files),
        ]
        api.create_commit(repository, operations, commit_message=message)
    return Pushed(f"{endpoint()}/{repository}", files, removed)


def _is_there(api: "HfApi", repository: str) -> bool:
    from huggingface_hub.errors import HfHubHTTPError

    try:
        api.model_info(repository)
    except HfHubHTTPError:
        return False
    return True


@contextmanager
def _refusals(repository: str) -> Iterator[None]:
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except CseflowError:
        raise
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status == 401:
            raise ConfigError(
                f"{endpoint()} does not accept the token: set HF_TOKEN to a valid one that may write"
            ) from error
        if status == 403:
            raise CseflowError(
                f"the token may not write to {repository} on {endpoint()}: the owner is someone else, or the token may "
                "only read; choose a name of your own, or a token that may write"
            ) from error
        kind = UnreachableError if status >= 500 or status == 429 else CseflowError
        raise kind(f"{endpoint()} refused {repository}: {_line(error)}") from error
    except Exception as error:  # of several libraries, which change between the client's versions
        if is_away(error):
            raise UnreachableError(
                f"no hub answers at {endpoint()} ({_line(error)}): see the network and HF_ENDPOINT, and run it again"
            ) from error
        if isinstance(error, ValueError):  # such as metadata that the hub does not take
            raise CseflowError(f"{endpoint()} refused {repository}: {_line(error)}") from error
        raise


def _line(error: Exception) -> str:
    return next(
        (" ".join(line.split())[:300] for line in str(error).splitlines() if line.strip()), type(error).__name__
    )
