"""What was made, as items that can be counted: files by content, answers line by line, MLflow row by row."""

import hashlib
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.campaign.lives import plain

Items = Counter[str]
# Tags that tell of the moment and the machine, and the journal's own id.
OWN_TAGS = {
    "cse.journal",
    "mlflow.user",
    "mlflow.source.name",
    "mlflow.parentRunId",
    "cse.parent",
    "cse.promotion.runs",
}
# A report tells what the gate says now: promoted, or champion already. Its page and MLmodel say when they were written,
# a model card (README.md) how long the training took.
OF_THE_MOMENT = {"MLmodel", "README.md", "index.html", "verdict.md"}
TEXT = {".json", ".md", ".txt", ".html", ".yaml", ".yml", ""}


def files(folder: Path, *patterns: str) -> Items:
    """Every file that matches, by what is in it."""
    found = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    return Counter(
        f"{plain(str(path.relative_to(folder)))}"
        + ("" if path.name in OF_THE_MOMENT else f" {_digest(path.read_bytes())}")
        for path in found
    )


def lines(folder: Path, pattern: str) -> Items:
    """Every line of the files that match: answers come in the order in which a server gave them."""
    return Counter(
        f"{path.name}: {line}" for path in folder.glob(pattern) for line in path.read_text().splitlines(keepends=True)
    )


def tree(folder: Path) -> Items:
    """Which files there are, for what a kill left beside the rest; locks and what DVC keeps to itself left out."""
    found: Items = Counter()
    for name in ("data", "answers", "runs", "reports", "mlartifacts"):
        for path in (folder / name).rglob("*"):
            if path.is_file() and not path.name.endswith(".lock"):
                found[f"file {plain(str(path.relative_to(folder)))}"] += 1
    found.update(f"file {plain(path.name)}" for path in folder.glob("*") if path.is_file() and ".lock" not in path.name)
    found.update(f"file {plain(path.name)}" for path in folder.glob("mlflow.db*.tmp"))
    return found


def mlflow(database: Path, journal: str | None = None, served: Path | None = None) -> Items:
    """Every point, parameter, tag, artifact, logged model and registered version; of one journal's run, or of all.

    `served`: the folder of a server's artifacts.
    """
    with closing(sqlite3.connect(database)) as store:
        return Counter(_rows(store, journal, served))


def _rows(store: sqlite3.Connection, journal: str | None, served: Path | None) -> Iterator[str]:
    ask = store.execute
    tagged = dict(ask("SELECT run_uuid, value FROM tags WHERE key = 'cse.journal'"))
    runs = {
        run: (name, status, uri)
        for run, name, status, uri in ask("SELECT run_uuid, name, status, artifact_uri FROM runs")
        if journal is None or tagged.get(run) == journal
    }
    models = {model: run for model, run in ask("SELECT model_id, source_run_id FROM logged_models") if run in runs}
    ids = {run: f"<{name}>" for run, (name, *_) in runs.items()}
    ids |= {model: f"<model of {runs[run][0]}>" for model, run in models.items()}
    for run, (name, status, uri) in runs.items():
        yield f"run {name} {status}"
        for key, step, value, nan in ask("SELECT key, step, value, is_nan FROM metrics WHERE run_uuid = ?", (run,)):
            yield f"{name}: point {key} {step} {value!r} {nan}"
        for key, value in ask("SELECT key, value FROM params WHERE run_uuid = ?", (run,)):
            yield f"{name}: param {key} {value}"
        for key, value in ask("SELECT key, value FROM tags WHERE run_uuid = ?", (run,)):
            yield f"{name}: tag {key}" + ("" if key in OWN_TAGS else f" {_named(value, ids)}")
        yield from _artifacts(_place(uri, served), f"{name}: artifact", ids)
        for kind, inside in ask("SELECT destination_type, destination_id FROM inputs WHERE source_id = ?", (run,)):
            yield f"{name}: output {kind} {ids.get(inside, inside)}"
        for digest in ask(
            "SELECT d.name, d.digest FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id "
            "WHERE i.destination_id = ?",
            (run,),
        ):
            yield f"{name}: input {digest}"
    for model in models:
        (status, place) = ask(
            "SELECT status, artifact_location FROM logged_models WHERE model_id = ?", (model,)
        ).fetchone()
        yield f"{ids[model]} {status}"
        for row in ask(
            "SELECT metric_name, metric_step, metric_value FROM logged_model_metrics WHERE model_id = ?", (model,)
        ):
            yield f"{ids[model]}: point {row}"
        yield from _artifacts(_place(place, served), f"{ids[model]}: artifact", ids)
    if journal is None:
        for name, version, run, stage in ask("SELECT name, version, run_id, status FROM model_versions"):
            yield f"version {name}/{version} {ids.get(run, run)} {stage}"
        for row in ask("SELECT name, alias, version FROM registered_model_aliases"):
            yield f"alias {row}"
        for name, version, key, value in ask("SELECT name, version, key, value FROM model_version_tags"):
            yield f"version {name}/{version}: tag {key}" + ("" if "announced" in key else f" {_named(value, ids)}")
        for name, status in ask("SELECT name, lifecycle_stage FROM experiments"):
            yield f"experiment {name} {status}"


def _place(uri: str, served: Path | None) -> Path:
    if uri.startswith("mlflow-artifacts:"):
        assert served is not None
        return served / uri.removeprefix("mlflow-artifacts:").lstrip("/")
    return Path(uri.removeprefix("file://"))


def _artifacts(folder: Path, what: str, ids: dict[str, str]) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            told = plain(str(path.relative_to(folder)))
            yield f"{what} {told}" + ("" if path.name in OF_THE_MOMENT else f" {_content(path, ids)}")


def _content(path: Path, ids: dict[str, str]) -> str:
    content = path.read_bytes()
    if path.suffix in TEXT:
        content = _named(content.decode(errors="replace"), ids).encode()
    return _digest(content)


def _named(text: str, ids: dict[str, str]) -> str:
    return re.sub(r"m-[0-9a-f]{32}|[0-9a-f]{32}", lambda match: ids.get(match[0], match[0]), text)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
