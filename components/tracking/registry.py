"""The registered encoder: who is champion, promoting another, going back, and a local copy of any version."""

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import CseflowError
from components.files import folder_written_whole
from components.tracking import tags as names
from components.tracking.encoder_model import logged_encoder, replace_file
from components.tracking.runs import PREDICTIONS
from components.tracking.store import connect, foreseen, process_store, registry_uri, tracking_uri
from components.tracking.tags import SUCCEEDS

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"
PREVIOUS = "previous"
REPORT = "promotion/report.md"
_DESCRIPTION_LENGTH = 5000  # of MLflow's column
_SCORES = ("sts/avg", "sts/STSB")  # that a description names, Spearman ×100


@dataclass(frozen=True)
class RegisteredEncoder:
    """One version of a registered model, and the run that made it; `run_id` is empty where no run did."""

    model: str
    version: str
    run_id: str
    tags: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def uri(self) -> str:
        return f"models:/{self.model}/{self.version}"


def champion(model: str) -> RegisteredEncoder | None:
    """The version of `model` that the alias `champion` names; None where there is none yet.

    Raises:
        CseflowError: the alias leads to a version that can't be compared with: no run made it (an alias that was set by
            hand), its run is gone (`mlflow gc`), or the run's predictions are.
    """
    client = connect()
    with foreseen():
        version = _aliases(client, model).get(CHAMPION)
        if version is None:
            return None
        found = _encoder(client, model, version)
        lack = _lack(client, found)
    if lack is not None:
        raise CseflowError(
            f"the alias {CHAMPION} of {model} leads to version {version}, {lack}, so that nothing can be compared with "
            f"it: {way_past_champion(model)}"
        )
    return found


def way_past_champion(model: str) -> str:
    """What to do about a champion that nothing can be compared with, as the end of a sentence."""
    return (
        f"go back with cseflow rollback, or remove the alias (models:/{model}@{CHAMPION}) on MLflow's page of the "
        "model, to be compared with the untrained encoder"
    )


def promote(model: str, run_id: str, *, report_markdown: str, tags: dict[str, str] | None = None) -> RegisteredEncoder:
    """Make the encoder of a run champion of `model`, and the former champion `previous`.

    The report becomes an artifact of the run and, after a line on variant, scores and data, the description of the
    version; `tags` are the version's. The registered model's description tells of its champion. Killed at any moment it
    leaves a champion where there was one, and doing it again completes it.

    Raises:
        CseflowError: the run has no encoder in MLflow, or no server answers.
    """
    client = connect()
    with foreseen():
        run = client.get_run(run_id)
        version, logged = _version_of(client, model, run_id)
        client.log_text(run_id, report_markdown, REPORT)
        facts = _facts(run, logged)
        client.update_model_version(
            model, version, f"{_sentence(facts)}\n\n{report_markdown}"[:_DESCRIPTION_LENGTH].strip()
        )
        former = _aliases(client, model).get(CHAMPION)
        if former == version:
            former = None
        for key, value in (facts | (tags or {}) | ({SUCCEEDS: former} if former else {})).items():
            client.set_model_version_tag(model, version, key, value)
        if former:
            client.set_registered_model_alias(model, PREVIOUS, former)
        _describe(client, model, version, facts)
        client.set_registered_model_alias(model, CHAMPION, version)
        return _encoder(client, model, version)


def rewrite_file(run_id: str, name: str, change: Callable[[str], str]) -> None:
    """Give the text file `name` of the run's encoder in MLflow the content that `change` makes of it, if it is there.

    Raises:
        CseflowError: there is no such run, or no server answers.
    """
    client = connect()
    with foreseen():
        replace_file(client, run_id, name, change)


def verdict_of(encoder: RegisteredEncoder) -> str | None:
    """The report with which the encoder was promoted; None where the gate did not promote it."""
    from mlflow.exceptions import MlflowException

    client = connect()
    with foreseen(), tempfile.TemporaryDirectory(prefix="cseflow-") as scratch:
        try:
            files = {entry.path for entry in client.list_artifacts(encoder.run_id, str(Path(REPORT).parent))}
        except MlflowException as error:
            if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                return None
            raise
        if REPORT not in files:
            return None
        return Path(client.download_artifacts(encoder.run_id, REPORT, scratch)).read_text(encoding="utf-8")


def remove_tag(encoder: RegisteredEncoder, tag: str) -> None:
    """Take a tag off a version."""
    client = connect()
    with foreseen():
        client.delete_model_version_tag(encoder.model, encoder.version, tag)


def rollback(model: str) -> RegisteredEncoder:
    """Make `previous` champion again; the one before it becomes `previous`, if there was one.

    Raises:
        CseflowError: there is no former champion to go back to, or its files are gone.
    """
    client = connect()
    with foreseen():
        aliases = _aliases(client, model)
        version = aliases.get(PREVIOUS)
        if version is None or version == aliases.get(CHAMPION):
            raise CseflowError(f"{model} has no former champion to go back to: promote an encoder instead")
        former = client.get_model_version(model, version)
        if not _has_files(f"models:/{model}/{version}"):
            raise CseflowError(
                f"the alias {PREVIOUS} of {model} leads to version {version}, whose files are gone from MLflow's "
                f"artifacts: set it to another version on MLflow's page of the model, or promote an encoder instead"
            )
        client.set_registered_model_alias(model, CHAMPION, version)
        earlier = former.tags.get(SUCCEEDS)
        if earlier is None or not _exists(client, model, earlier):
            client.delete_registered_model_alias(model, PREVIOUS)
        else:
            client.set_registered_model_alias(model, PREVIOUS, earlier)
        _describe(client, model, version, _facts_of(former))
        return _encoder(client, model, version)


def local_copy(uri: str, into: Path | str) -> Path:
    """Bring the encoder at `uri`, such as models:/cse-encoder@champion, to the folder `into`; its path.

    Plain `SentenceTransformer(path)` loads the result.

    Raises:
        CseflowError: there is no such model, its files are gone, it is no sentence-transformers encoder, or its weights
            would have to be unpickled.
    """
    connect()
    from mlflow.artifacts import download_artifacts
    from mlflow.models import Model

    into = Path(into)
    with foreseen(), process_store(), tempfile.TemporaryDirectory(prefix="cseflow-") as scratch:
        try:
            fetched = Path(
                download_artifacts(
                    artifact_uri=uri, dst_path=scratch, tracking_uri=tracking_uri(), registry_uri=registry_uri()
                )
            )
        except OSError as error:
            raise _files_gone(uri) from error
        if not (fetched / "MLmodel").is_file():
            raise _files_gone(uri)
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


def encoder_uri(run_id: str) -> str:
    """Where the encoder of an MLflow run is, for `local_copy`.

    Raises:
        CseflowError: the run has none.
    """
    client = connect()
    with foreseen():
        return f"models:/{_ready(client, run_id).model_id}"


def _files_gone(uri: str) -> CseflowError:
    return CseflowError(
        f"the files of {uri} are gone from MLflow's artifacts: name another version, go back with cseflow rollback, or "
        "train it again (cseflow experiment --force)"
    )


def _has_files(uri: str) -> bool:
    from mlflow.artifacts import list_artifacts
    from mlflow.exceptions import MlflowException

    try:
        with process_store():
            found = list_artifacts(artifact_uri=uri, tracking_uri=tracking_uri())
    except (OSError, MlflowException) as error:
        if isinstance(error, MlflowException) and error.get_http_status_code() >= 500:
            raise
        return False
    return any(entry.path.endswith("MLmodel") for entry in found)


def _ready(client: "MlflowClient", run_id: str) -> "LoggedModel":
    """The encoder that the run has logged."""
    from mlflow.entities import LoggedModelStatus

    logged = logged_encoder(client, run_id)
    if logged is None or logged.status != LoggedModelStatus.READY:
        raise CseflowError(
            f"MLflow run {run_id} has no encoder: deliver its journal (cseflow deliver), or train it again "
            "(cseflow experiment --force)"
        )
    return logged


def _version_of(client: "MlflowClient", model: str, run_id: str) -> "tuple[str, LoggedModel]":
    """The version of `model` that holds the run's encoder, registered if it isn't yet."""
    from mlflow.exceptions import MlflowException

    logged = _ready(client, run_id)
    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    known = client.search_model_versions(f"name = '{model}' AND run_id = '{run_id}'", max_results=1)
    if known:
        version = str(known[0].version)
    else:
        with process_store():
            made = client.create_model_version(model, f"models:/{logged.model_id}", run_id, model_id=logged.model_id)
        version = str(made.version)
    # By this tag, MLflow's own, the page of the model leads to its registered versions.
    client.set_logged_model_tags(
        logged.model_id, {"mlflow.modelVersions": json.dumps([{"name": model, "version": int(version)}])}
    )
    return version, logged


def _facts(run: "Run", logged: "LoggedModel") -> dict[str, str]:
    """What a version's tags say of its run; MLflow's registry itself keeps neither model id nor metrics."""
    own = run.data.tags
    facts = {key: own[key] for key in (names.VARIANT, names.SEED, names.DATA_VERSION) if key in own}
    scores = {metric.key: metric.value for metric in logged.metrics or []} or run.data.metrics
    return facts | {names.MODEL_ID: logged.model_id} | {key: f"{scores[key]:.2f}" for key in _SCORES if key in scores}


def _facts_of(version: "ModelVersion") -> dict[str, str]:
    known = (names.VARIANT, names.SEED, names.DATA_VERSION, names.MODEL_ID, *_SCORES)
    return {key: value for key, value in version.tags.items() if key in known}


def _sentence(facts: dict[str, str]) -> str:
    """Markdown: variant, seed, scores, verdict and data version, as far as they are known."""
    variant = f"`{facts[names.VARIANT]}`" if names.VARIANT in facts else "An encoder"
    seed = f", seed {facts[names.SEED]}" if names.SEED in facts else ""
    scores = ", ".join(f"`{key}` {facts[key]}" for key in _SCORES if key in facts)
    data = f", data version `{facts[names.DATA_VERSION]}`" if names.DATA_VERSION in facts else ""
    return f"{variant}{seed}: {scores or 'no STS scores'} (Spearman ×100); passed the promotion gate{data}."


def _describe(client: "MlflowClient", model: str, version: str, facts: dict[str, str]) -> None:
    """Have the registered model's description tell of its champion, `version`."""
    client.update_registered_model(
        model,
        f"Sentence encoder, promoted by cseflow. Champion is version {version}, {_sentence(facts)}\n\n"
        f'Load it with `mlflow.sentence_transformers.load_model("models:/{model}@{CHAMPION}")`.',
    )


def _aliases(client: "MlflowClient", model: str) -> dict[str, str]:
    from mlflow.exceptions import MlflowException

    try:
        return {alias: str(version) for alias, version in client.get_registered_model(model).aliases.items()}
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise


def _exists(client: "MlflowClient", model: str, version: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        client.get_model_version(model, version)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    return True


def _encoder(client: "MlflowClient", model: str, version: str) -> RegisteredEncoder:
    found = client.get_model_version(model, version)
    return RegisteredEncoder(model, version, found.run_id or "", dict(found.tags))


def _lack(client: "MlflowClient", encoder: RegisteredEncoder) -> str | None:
    """What a registered encoder lacks to be compared with, None if nothing."""
    from mlflow.exceptions import MlflowException

    if not encoder.run_id:
        return "which no MLflow run made"
    try:
        client.get_run(encoder.run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return f"whose MLflow run {encoder.run_id} is gone"
        raise
    files = {entry.path for entry in client.list_artifacts(encoder.run_id, str(Path(PREDICTIONS).parent))}
    return None if PREDICTIONS in files else f"whose MLflow run {encoder.run_id} keeps no {PREDICTIONS}"
