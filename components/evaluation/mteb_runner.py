"""mteb's own runner on any encoder: `cseflow evaluate MODEL --mteb`; mteb is the extra `mteb`.

Muennighoff et al. 2023, "MTEB: Massive Text Embedding Benchmark". Results lie as mteb keeps them, ready for its
leaderboard: DIR/results/OWNER__NAME/REVISION/TASK.json beside model_meta.json.
"""

import importlib.util
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from components.errors import ConfigError, CseflowError
from components.evaluation.evaluate import load_model, score_table
from components.evaluation.sts_data import load_sts
from components.sources.digest import folder_digest

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask

# The papers' tasks, as mteb names them.
PAPERS = ("STS12", "STS13", "STS14", "STS15", "STS16", "STSBenchmark", "SICK-R")
REVISION = 40  # hexadecimal digits, as of a commit
BATCH_SIZE = 64
ENCODER = "encoder"  # a run's encoder, which the name of the run's folder says more about


def run_mteb(
    model: str, name: str, tasks: Sequence[str] | None, into: Path, own: Collection[str] = ()
) -> dict[str, float]:
    """Score `model` by mteb, print a table, and keep mteb's results below `into`; what is there is not done again.

    Args:
        model: a sentence-transformers folder, or the id of a model on the hub.
        name: OWNER/NAME under which the results stand; its revision is the digest of a folder.
        tasks: names of mteb's tasks or of `own`; None takes `PAPERS`.
        own: STS tasks that the stage `sts` made; they come before tasks of mteb with the same name.

    Returns:
        Task → its main score ×100, the mean over its splits and subsets; of STS Spearman of cosines.

    Raises:
        ConfigError: an unknown task.
        CseflowError: mteb is not installed, the model can't be loaded, or a task's data can't be fetched.
    """
    if importlib.util.find_spec("mteb") is None:
        raise CseflowError("--mteb needs mteb: pip install --constraint constraints.txt --editable '.[mteb]'")
    import mteb
    from mteb.models import SentenceTransformerEncoderWrapper

    chosen = [own_task(task) if task in own else _task_of_mteb(task, own) for task in tasks or PAPERS]
    encoder = SentenceTransformerEncoderWrapper(load_model(model))
    if Path(model).is_dir():
        named = {"name": name, "revision": folder_digest(Path(model))[:REVISION]}
        encoder.mteb_model_meta = encoder.mteb_model_meta.model_copy(update=named)
    cache = mteb.ResultCache(into)
    scores = {}
    for task in chosen:
        known = task.metadata.name
        try:
            done = mteb.evaluate(
                encoder,
                task,
                cache=cache,
                co2_tracker=False,
                encode_kwargs={"batch_size": BATCH_SIZE},
                show_progress_bar=False,
            )
        except Exception as error:  # of every kind: the hub's, its data sets', the tasks' own
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise CseflowError(f"mteb could not run {known} ({reason}); the results so far are in {into}") from None
        scores[known] = 100 * float(done.task_results[0].get_score())
    meta = encoder.mteb_model_meta
    title = f"{meta.name} {(meta.revision or '')[:8]} by mteb {mteb.__version__}: main score ×100"
    Console().print(score_table(title, scores))
    return scores


def name_of(model: str) -> str:
    """OWNER/NAME of a folder, a hub id or models:/NAME@ALIAS: what its results stand under unless another is given."""
    if model.startswith("models:/"):
        return f"cseflow/{re.split('[/@]', model)[1]}"
    if not Path(model).is_dir():
        return model if "/" in model else f"sentence-transformers/{model}"
    folder = Path(model).absolute()
    return f"cseflow/{folder.parent.name if folder.name == ENCODER else folder.name}"


def own_task(name: str) -> "AbsTask":
    """A task of data/sts as mteb's AbsTaskSTS: its split is `test`.

    Raises:
        DataError: the stage `sts` has not made it.
    """
    from datasets import Dataset
    from mteb.abstasks.sts import AbsTaskSTS
    from mteb.abstasks.task_metadata import TaskMetadata

    pairs = load_sts(name)
    columns = {"sentence1": pairs.first, "sentence2": pairs.second, "score": pairs.score.tolist()}

    class OwnTask(AbsTaskSTS):
        """Reads nothing from the hub."""

        metadata = TaskMetadata(
            name=name,
            description=f"The STS task {name} of params.yaml",
            dataset={"path": f"data/sts/{name}.parquet", "revision": "local"},
            type="STS",
            eval_splits=["test"],
            eval_langs=["und-Zyyy"],
            main_score="cosine_spearman",
        )

        def load_data(self, *_: Any, **__: Any) -> None:
            """The pairs as the stage wrote them."""
            self.dataset = {"test": Dataset.from_dict(columns)}
            self.data_loaded = True

    return OwnTask()


def _task_of_mteb(name: str, own: Collection[str]) -> "AbsTask":
    import mteb

    try:
        return mteb.get_task(name)
    except KeyError as error:
        more = f", and evaluation.tasks has {', '.join(own)}" if own else ""
        raise ConfigError(f"--mteb: {' '.join(str(error.args[0]).split())[:300]}{more}") from None
