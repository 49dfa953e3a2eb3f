"""The registered encoder: who is champion, promoting another, going back, and a local copy of any version."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import CseflowError
from components.files import folder_written_whole
from components.tracking.encoder_model import logged_encoder
from components.tracking.store import connect, foreseen, tracking_uri
from components.tracking.tags import SUCCEEDS

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
PREVIOUS = "previous"
REPORT = "promotion/report.md"
_DESCRIPTION_LENGTH = 5000  # of MLflow's column


@dataclass(frozen=True)
class RegisteredEncoder:
    """One version of a registered model, and the run that made it."""

    model: str
    version: str
    run_id: str

    @property
    def uri(self) -> str:
        return f"models:/{self.model}/{self.version}"


def champion(model: str) -> RegisteredEncoder | None:
    """The version of `model` that the alias `champion` names; None where there is none yet."""
    client = connect()
    with foreseen():
        version = _aliases(client, model).get(CHAMPION)
        return None if version is None else _encoder(client, model, version)


def promote(model: str, run_id: str, *, report_markdown: str, tags: dict[str, str] | None = None) -> RegisteredEncoder:
    """Make the encoder of a run champion of `model`, and the former champion `previous`.

    The report becomes an artifact of the run and the description of the version; `tags` are the version's. Killed at
    any moment it leaves a champion where there was one, and doing it again completes it.

    Raises:
        CseflowError: the run has no encoder in MLflow, or no server answers.
    """
    client = connect()
    with foreseen():
        version = _version_of(client, model, run_id)
        client.log_text(run_id, report_markdown, REPORT)
        client.update_model_version(model, version, report_markdown[:_DESCRIPTION_LENGTH])
        former = _aliases(client, model).get(CHAMPION)
        if former == version:
            former = None
        for key, value in ((tags or {}) | ({SUCCEEDS: former} if former else {})).items():
            client.set_model_version_tag(model, version, key, value)
        if former:
            client.set_registered_model_alias(model, PREVIOUS, former)
        client.set_registered_model_alias(model, CHAMPION, version)
    return RegisteredEncoder(model, version, run_id)


def rollback(model: str) -> RegisteredEncoder:
    """Make `previous` champion again; the one before it becomes `previous`, if there was one.

    Raises:
        CseflowError: there is no former champion to go back to.
    """
    client = connect()
    with foreseen():
        aliases = _aliases(client, model)
        version = aliases.get(PREVIOUS)
        if version is None or version == aliases.get(CHAMPION):
            raise CseflowError(f"{model} has no former champion to go back to: promote an encoder instead")
        client.set_registered_model_alias(model, CHAMPION, version)
        earlier = client.get_model_version(model, version).tags.get(SUCCEEDS)
        if earlier is None:
            client.delete_registered_model_alias(model, PREVIOUS)
        else:
            client.set_registered_model_alias(model, PREVIOUS, earlier)
        return _encoder(client, model, version)


def local_copy(uri: str, into: Path | str) -> Path:
    """Bring the encoder at `uri`, such as models:/cse-encoder@champion, to the folder `into`; its path.

    Plain `SentenceTransformer(path)` loads the result.

    Raises:
        CseflowError: there is no such model, it is no sentence-transformers encoder, or its weights would have to be
            unpickled.
    """
    client = connect()
    from mlflow.artifacts import download_artifacts
    from mlflow.models import Model

    into = Path(into)
    with foreseen(), tempfile.TemporaryDirectory(prefix="cseflow-") as scratch:
        fetched = Path(
            download_artifacts(
                artifact_uri=uri, dst_path=scratch, tracking_uri=tracking_uri(), registry_uri=client._registry_uri
            )
        )
        flavors = Model.load(str(fetched)).flavors
        if "sentence_transformers" not in flavors:
            raise CseflowError(f"{uri} is no sentence-transformers encoder but {', '.join(flavors)}")
        encoder = fetched / flavors["python_function"]["data"]
        pickled = [path for path in encoder.rglob("*") if path.suffix in {".bin", ".pkl", ".pt", ".ckpt"}]
        if pickled:
            raise CseflowError(f"{uri} holds {pickled[0].name}, which is unpickled on loading: save it as safetensors")
        with folder_written_whole(into) as aside:
            shutil.copytree(encoder, aside, dirs_exist_ok=True)
    return into


def _version_of(client: "MlflowClient", model: str, run_id: str) -> str:
    """The version of `model` that holds the run's encoder, registered if it isn't yet."""
    from mlflow.entities import LoggedModelStatus
    from mlflow.exceptions import MlflowException

    logged = logged_encoder(client, run_id)
    if logged is None or logged.status != LoggedModelStatus.READY:
        raise CseflowError(f"MLflow run {run_id} has no encoder: deliver its journal, or train it again")
    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    known = client.search_model_versions(f"name = '{model}' AND run_id = '{run_id}'", max_results=1)
    if known:
        return str(known[0].version)
    made = client.create_model_version(model, f"models:/{logged.model_id}", run_id, model_id=logged.model_id)
    return str(made.version)


def _aliases(client: "MlflowClient", model: str) -> dict[str, str]:
    from mlflow.exceptions import MlflowException

    try:
        return {alias: str(version) for alias, version in client.get_registered_model(model).aliases.items()}
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise


def _encoder(client: "MlflowClient", model: str, version: str) -> RegisteredEncoder:
    return RegisteredEncoder(model, version, client.get_model_version(model, version).run_id or "")
