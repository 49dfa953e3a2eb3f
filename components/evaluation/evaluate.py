"""Score any sentence-transformers model on any tasks whose data are at hand: `cseflow evaluate`."""

import difflib
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from rich.console import Console
from rich.table import Table

from components import paths
from components.config.evaluation import Classifier, StsTask, TransferTask
from components.errors import ConfigError, CseflowError, DataError
from components.evaluation.embed import Encode, Precision, encoder_of
from components.evaluation.sts import evaluate_sts
from components.evaluation.sts_data import StsPairs, load_sts, read_sts, sts_files
from components.evaluation.transfer import SEED, evaluate_transfer, transfer_folder
from components.files import written_whole

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)
STS_TASKS: tuple[str, ...] = get_args(StsTask)
TRANSFER_TASKS: tuple[str, ...] = get_args(TransferTask)


def run(
    model: str,
    tasks: Sequence[str] | None = None,
    senteval: Path | None = None,
    json_path: Path | None = None,
    precision: Precision = "fp32",
    classifier: Classifier = "adam",
    own: Collection[str] = (),
) -> dict[str, float]:
    """Load `model`, score it, print a table, and write the scores to `json_path` if given; see `evaluate_model`.

    Args:
        model: a sentence-transformers folder, or the id of a model on the hub.
        precision: as `encoder_of` has it.
        classifier: of the transfer tasks, as `evaluate_transfer` has it.
        own: names of STS tasks of one's own (`evaluation.tasks`), which are read from data/sts.

    Raises:
        CseflowError: the model can't be loaded, a task is unknown, or its data are not at hand.
    """
    available = find_tasks(tasks, senteval, own)
    encode = encoder_of(load_model(model), precision=precision)
    scores = evaluate_model(encode, list(available), senteval, own, classifier=classifier)
    if json_path is not None:
        with written_whole(json_path) as aside:
            aside.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    Console().print(score_table(f"{model}: Spearman ×100 (STS), accuracy ×100 (transfer)", scores))
    return scores


def evaluate_model(
    encode: Encode,
    tasks: Sequence[str] | None = None,
    senteval: Path | None = None,
    own: Collection[str] = (),
    *,
    classifier: Classifier = "adam",
    seed: int = SEED,
) -> dict[str, float]:
    """Score ×100 of each task, `avg` over the STS tasks, and `transfer_avg` over the transfer tasks, if there are any.

    Args:
        tasks: of STS12 … STS16, STSB, SICKR and `own` (Spearman ×100), and MR, CR, SUBJ, MPQA, SST2, TREC, MRPC
            (accuracy ×100); None takes all whose data are found.
        senteval: folder in SentEval's layout; it comes before data/sts, which holds what `dvc repro` made.
        own: names of STS tasks of one's own, which are read from data/sts.
        classifier, seed: of the transfer tasks, as `evaluate_transfer` has them.

    Raises:
        ConfigError: an unknown task.
        DataError: data of a task that was asked for are not found or broken, or none are found at all.
    """
    found = find_tasks(tasks, senteval, own)
    sts = {task: _load_sts(task, place) for task, place in found.items() if task not in TRANSFER_TASKS}
    transfer = {task: place for task, place in found.items() if task in TRANSFER_TASKS}
    scores = evaluate_sts(encode, sts).scores if sts else {}
    return scores | evaluate_transfer(encode, transfer, classifier=classifier, seed=seed)


def find_tasks(
    tasks: Sequence[str] | None = None, senteval: Path | None = None, own: Collection[str] = ()
) -> dict[str, Path]:
    """Task → folder that holds its data, in the order of the tables of the papers, `own` behind the other STS tasks.

    Raises:
        ConfigError, DataError: as `evaluate_model`.
    """
    known = [*STS_TASKS, *own, *TRANSFER_TASKS]
    for task in tasks or ():
        if task not in known:
            close = difflib.get_close_matches(task.upper(), known, n=1) or difflib.get_close_matches(task, known, n=1)
            meant = f" (did you mean {close[0]!r}?)" if close else ""
            raise ConfigError(f"no task named {task!r}{meant}; there are {', '.join(known)}")
    if senteval is not None and not senteval.is_dir():
        raise DataError(f"--senteval: {senteval} is no folder")
    looked = f"{senteval} (SentEval's layout) and {paths.STS}" if senteval else f"{paths.STS} (give --senteval DIR?)"
    found = {task: place for task in known if (place := _place(task, senteval))}
    missing = [task for task in tasks or () if task not in found]
    if missing or not found:
        raise DataError(f"no data for {', '.join(missing) or 'any task'}; looked in {looked}")
    return {task: place for task, place in found.items() if tasks is None or task in tasks}


def load_model(model: str) -> "SentenceTransformer":
    """A sentence-transformers model in float32; weights are read from safetensors alone.

    Raises:
        CseflowError: it is neither a folder with a model nor the id of one that the hub gives.
    """
    from sentence_transformers import SentenceTransformer

    if not Path(model).is_dir() and (model.startswith((".", "/", "~")) or model.count("/") > 1):
        raise DataError(f"{model} is no folder")
    try:
        return SentenceTransformer(model, trust_remote_code=False, model_kwargs={"use_safetensors": True}).float()
    except (OSError, ValueError, KeyError) as error:
        what = " ".join(str(error).split())
        raise CseflowError(f"{model} can't be loaded as a sentence-transformers folder or hub id: {what}") from None


def score_table(title: str, scores: Mapping[str, float]) -> Table:
    """One column per score, as the papers print them."""
    table = Table(title=title)
    for name in scores:
        table.add_column(name, justify="right")
    table.add_row(*(f"{score:.2f}" for score in scores.values()))
    return table


def _place(task: str, senteval: Path | None) -> Path | None:
    published = transfer_folder if task in TRANSFER_TASKS else sts_files if task in STS_TASKS else None
    if senteval is not None and published is not None and published(task, senteval):
        return senteval
    return paths.STS if (paths.STS / f"{task}.parquet").is_file() else None


def _load_sts(task: str, place: Path) -> StsPairs:
    return load_sts(task) if place == paths.STS else read_sts(task, place)
