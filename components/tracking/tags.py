"""Names of the tags that cseflow sets on its MLflow runs."""

VARIANT = "cse.variant"
SEED = "cse.seed"
KIND = "cse.kind"  # "experiment" (a parent) or "run"
FINGERPRINT = "cse.fingerprint"  # equal for runs of the same code, data, parameters and seed
JOURNAL = "cse.journal"  # which journal a run was delivered from
FLOW_RUN = "cse.prefect_flow_run"
DATA_VERSION = "cse.data.version"  # digest of all data sets in dvc.lock
VALIDATION = "cse.validation."  # + kind of data set: "passed" or "failed"
SUCCEEDS = "cse.succeeds"  # on a model version: the champion it followed
MODEL_ID = "cse.model_id"  # on a model version: the logged model that it was made of
PROMOTED_SEEDS = "cse.promotion.seeds"  # on a model version: ids of the runs that the gate judged as one variant
REFERENCE_RUNS = "cse.promotion.reference"  # on a model version: ids of the runs that they were compared with
UNANNOUNCED = "cse.promotion.unannounced"  # on a model version: id of the event of its promotion, until that is emitted
NOTE = "mlflow.note.content"  # MLflow's own: a description, in Markdown
PARENT = "mlflow.parentRunId"  # MLflow's own, for nesting


def validation_tags(verdicts: dict[str, bool]) -> dict[str, str]:
    """The verdict of each suite that a run relies on, as tags."""
    return {VALIDATION + kind: "passed" if passed else "failed" for kind, passed in verdicts.items()}
