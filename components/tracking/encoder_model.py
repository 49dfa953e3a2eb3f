"""The trained encoder as an MLflow model of the sentence_transformers flavor, byte for byte as it was exported."""

import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

NAME = "encoder"
_REQUIREMENTS = ("sentence-transformers", "torch", "transformers")  # given, or MLflow would run the model to find them


class _Exported:
    """Stands for a loaded model where MLflow saves one: loading and saving again could change what was measured."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, path: str) -> None:
        shutil.copytree(self.folder, path)

    def modules(self) -> Iterator[Any]:
        return iter(())


def log_encoder(client: "MlflowClient", run_id: str, folder: Path) -> str:
    """Log the sentence-transformers `folder` as the model of the run; doing it again replaces its files. Its id."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus
    from mlflow.models import Model
    from mlflow.sentence_transformers import save_model

    run = client.get_run(run_id)
    model = logged_encoder(client, run_id) or client.create_logged_model(
        experiment_id=run.info.experiment_id, name=NAME, source_run_id=run_id, tags=_own_tags(run.data.tags)
    )
    with tempfile.TemporaryDirectory(prefix="cseflow-") as scratch:
        local = Path(scratch) / "model"
        save_model(
            _Exported(folder),
            str(local),
            mlflow_model=Model(
                artifact_path=model.artifact_location, model_uuid=model.model_id, run_id=run_id, model_id=model.model_id
            ),
            pip_requirements=[f"{name}=={version(name)}" for name in _REQUIREMENTS],
        )
        client.log_model_artifacts(model.model_id, str(local))
    if model.status != LoggedModelStatus.READY:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    return model.model_id


def logged_encoder(client: "MlflowClient", run_id: str) -> "LoggedModel | None":
    """The model that `log_encoder` has begun or finished for the run."""
    found = client.search_logged_models(
        experiment_ids=[client.get_run(run_id).info.experiment_id],
        filter_string=f"source_run_id = '{run_id}' AND name = '{NAME}'",
    )
    return found[0] if found else None


def _own_tags(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key.startswith("cse.")}
