"""Prefect's side: flows that call components and add retries, concurrency, logs and artifacts. No maths here."""

import os
from pathlib import Path

# State stays in one ignored folder, and nothing phones home, unless the user's environment says otherwise.
os.environ.setdefault("PREFECT_HOME", str(Path(".state/prefect").absolute()))
Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
# A flow without a server starts one of its own, whose first start on a busy machine outlasts the default 20 seconds.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "1")
