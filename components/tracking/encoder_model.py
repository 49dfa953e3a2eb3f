"""The trained encoder as an MLflow model of the sentence_transformers flavor, byte for byte as it was exported."""

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import DataError
from components.tracking.store import process_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Metric
    from mlflow.models import Model, ModelSignature

NAME = "encoder"
EXAMPLE = ["A sentence.", "Another one."]
_REQUIREMENTS = ("sentence-transformers", "torch", "transformers")  # given, or MLflow would run the model to find them
_SCRATCH = ".mlflow-model"  # in the run's folder
log = logging.getLogger(__name__)


class _Exported:
    """Stands for a loaded model where MLflow saves one: loading and saving again could change what was measured."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, path: str) -> None:
        shutil.copytree(self.folder, path, copy_function=_link)

    def modules(self) -> Iterator[Any]:
        return iter(())


def log_encoder(client: "MlflowClient", run_id: str, folder: Path, metrics: "Sequence[Metric]" = ()) -> str:
    """Log the sentence-transformers `folder` as the model of the run; doing it again replaces its files. Its id.

    The model gets the run's parameters and its own tags (`cse.…`), an input example, and a signature: strings in,
    float32 of shape (-1, dim) out. `metrics`, points that the run has already, are linked to it.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric
    from mlflow.models import Model

    run = client.get_run(run_id)
    model = logged_encoder(client, run_id) or client.create_logged_model(
        experiment_id=run.info.experiment_id,
        name=NAME,
        source_run_id=run_id,
        tags=_own_tags(run.data.tags),
        params=run.data.params,
    )
    scratch = folder.parent / _SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        # Its own place is not said: that changes when the project is moved.
        _save(folder, scratch, Model(artifact_path=NAME, run_id=run_id, model_id=model.model_id))
        client.log_model_artifacts(model.model_id, str(scratch))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    linked = [
        Metric(
            point.key,
            point.value,
            point.timestamp,
            point.step,
            model_id=model.model_id,
            dataset_name=point.dataset_name,
            dataset_digest=point.dataset_digest,
        )
        for point in metrics
    ]
    if linked:
        client.log_batch(run_id, metrics=linked, synchronous=True)
    if model.status != LoggedModelStatus.READY:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    return model.model_id


def replace_file(client: "MlflowClient", run_id: str, name: str, change: Callable[[str], str]) -> None:
    """Give the text file `name` of the run's encoder the content that `change` makes of it; nothing without either."""
    from mlflow.artifacts import download_artifacts
    from mlflow.models import get_model_info

    model = logged_encoder(client, run_id)
    if model is None:
        return
    with process_store(), tempfile.TemporaryDirectory(prefix="cseflow-") as scratch:
        folder = str(get_model_info(f"models:/{model.model_id}").flavors["python_function"]["data"])
        files = client.list_logged_model_artifacts(model.model_id, folder)
        if f"{folder}/{name}" not in {entry.path for entry in files}:
            return
        found = Path(download_artifacts(artifact_uri=f"{model.artifact_location}/{folder}/{name}", dst_path=scratch))
        before = found.read_text(encoding="utf-8")
        after = change(before)
        if after != before:
            found.write_text(after, encoding="utf-8")
            client.log_model_artifact(model.model_id, str(found), folder)


def _save(folder: Path, into: Path, description: "Model") -> None:
    from mlflow.sentence_transformers import save_model

    options = {
        "mlflow_model": description,
        "signature": _signature(embedding_dimension(folder)),
        "input_example": EXAMPLE,
        "pip_requirements": [f"{name}=={version(name)}" for name in _required(folder)],
    }
    try:
        save_model(_Exported(folder), str(into), **options)
    except (AttributeError, TypeError) as error:
        from sentence_transformers import SentenceTransformer

        log.warning("this MLflow saves no exported folder as it is (%s): the encoder is loaded and saved again", error)
        shutil.rmtree(into)
        save_model(SentenceTransformer(str(folder), device="cpu", trust_remote_code=False), str(into), **options)


def _required(folder: Path) -> tuple[str, ...]:
    return (*_REQUIREMENTS, "peft") if (folder / "adapter_config.json").exists() else _REQUIREMENTS


def logged_encoder(client: "MlflowClient", run_id: str) -> "LoggedModel | None":
    """The model that `log_encoder` has begun or finished for the run."""
    found = client.search_logged_models(
        experiment_ids=[client.get_run(run_id).info.experiment_id],
        filter_string=f"source_run_id = '{run_id}' AND name = '{NAME}'",
    )
    return found[0] if found else None


def embedding_dimension(folder: Path) -> int:
    """The length of the vectors that the sentence-transformers `folder` gives, read from its modules' configurations.

    Raises:
        DataError: no module says it.
    """
    modules = json.loads((folder / "modules.json").read_text())
    for module in reversed(modules):
        path = folder / module["path"] / "config.json"
        settings = json.loads(path.read_text()) if path.is_file() else {}
        for key in ("out_features", "embedding_dimension", "word_embedding_dimension", "hidden_size"):
            if isinstance(settings.get(key), int):
                return int(settings[key])
    raise DataError(f"{folder}: no module in modules.json names the length of its vectors")


def _signature(dimension: int) -> "ModelSignature":
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    return ModelSignature(
        inputs=Schema([ColSpec("string")]), outputs=Schema([TensorSpec(np.dtype("float32"), (-1, dimension))])
    )


def _own_tags(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key.startswith("cse.")}


def _link(source: str, target: str) -> None:
    """A hard link where the file system has them: weights are large, and what is saved is only read, to be uploaded."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
