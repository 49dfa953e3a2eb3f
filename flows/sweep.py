"""`sweep`: one variant trained under many settings, the best picked by dev."""

import fcntl
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from components import paths
from components.config import load_params
from components.config.base import Seed
from components.config.command import command_params
from components.config.settings import for_each
from components.errors import ConfigError, CseflowError, UnreachableError
from components.graph.fresh import require_fresh
from components.runs.run import Run
from components.search.space import Space, parse_space
from components.tracking import tags
from components.tracking.journal import Journal
from components.tracking.lineage import data_version, lineage_tags
from flows.compare import add_report, results_of
from flows.experiment import deliver_parent, seeds_of
from flows.hosted import begin, link_to_mlflow, links
from flows.orchestration import flow, run_logger
from flows.parameters import Profile, Setting, Variant
from flows.train import train

if TYPE_CHECKING:
    from optuna import Study

    from components.search.outcome import Trial

Sampler = Literal["grid", "random", "tpe"]
TRIALS = 20  # where the space is no grid
STORAGE = "optuna.db"  # in the sweep's folder


@dataclass(frozen=True)
class Sweep:
    """What a sweep came to.

    Attributes:
        trials: best first.
        space: that they are of.
        page: of the report.
        steps: what to do next; nothing where every trial failed.
    """

    trials: "list[Trial]"
    space: Space
    page: Path
    steps: list[str]


@flow(name="sweep", flow_run_name="{variant}")
def sweep(
    variant: Variant,
    settings: list[Setting],
    seeds: list[Seed] | None = None,
    trials: int | None = None,
    sampler: Sampler | None = None,
    profile: Profile | None = None,
) -> Sweep:
    """Train `variant` under many settings and rank them by the mean dev score over seeds; test scores aren't read.

    The same call goes on where a killed one stopped: optuna's storage, a SQLite file in the sweep's folder, has its
    trials, and a run that is finished in MLflow is not trained again. Other data or code begin another sweep.

    Args:
        variant: an entry of `variants` in params.yaml.
        settings: KEY=VALUE, KEY=VALUE,VALUE or KEY=LOW..HIGH each; `variants.*` stands for the variant.
        seeds: default: `experiment.seeds`.
        trials: how many; default: all of a grid, else `TRIALS`. A higher number than before goes on with the same ones.
        sampler: default: grid where every key has a list of values, else TPE (Bergstra et al. 2011).
        profile: of profiles/; default: the one that params.yaml names.

    Raises:
        ConfigError: nothing is searched, or a value is refused by its key or changes no run.
    """
    from components.search.outcome import importances, ranked, what_next, write_page

    begin()
    space = parse_space(for_each(settings, [variant]))
    first = require_space(variant, space, profile)
    chosen = _sampler(space, sampler)
    seeds = seeds_of(first.params, variant, seeds)
    identity = json.dumps([variant, sorted(settings), seeds, chosen, first.fingerprint])
    folder = paths.RUNS / f"sweep-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    title = f"sweep of {variant}"
    with alone_in(folder):
        with Journal(folder) as journal:
            if journal.status != "FINISHED":
                journal.start(
                    f"{title} {folder.name[-6:]}",
                    first.params.tracking.experiment,
                    tags={tags.KIND: "sweep", tags.DATA_VERSION: data_version()} | links() | lineage_tags(),
                    params={"variant": variant, "seeds": seeds, "settings": sorted(settings), "sampler": chosen},
                )
        study = _study(folder, chosen, first.params.seed)
        _search(study, space, variant, seeds, trials, chosen, folder, profile)
        found = ranked(_trials(study))
        done = [trial for trial in found if not trial.failure]
        steps = what_next(done[0], space, variant, seeds) if done else []
        page = write_page(paths.REPORTS / folder.name, title, found, space, steps, importances(study))
        parent_run = str(deliver_parent(folder).run_id)
        add_report(parent_run, page.parent)
        link_to_mlflow(parent_run)
        with Journal(folder) as journal:
            if journal.status != "FINISHED":
                journal.finish("FINISHED" if done else "FAILED")
        deliver_parent(folder)
    return Sweep(found, space, page, steps)


def require_space(variant: str, space: Space, profile: str | None = None) -> Run:
    """See that every value can be trained with; the run of the first.

    Raises:
        ConfigError: a value is refused by its key, or a key changes no run, so that all its trials would be one.
        DataError: the data aren't those of params.yaml with a value.
    """
    for settings in space.each_value():
        params = command_params([variant], settings, profile).params
        require_fresh(params, [variant])
    runs: list[Run] = []
    for key, samples in space.samples():
        runs = [Run(load_params(profile=profile, settings=settings), variant) for settings in samples]
        if runs[0].fingerprint == runs[1].fingerprint:
            raise ConfigError(f"{key} changes nothing that a run of {variant} depends on: leave it out")
    return runs[0]


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the sweep's lock; a trial that another process trains just now must not be taken for one that was killed.

    Raises:
        CseflowError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".sweep.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CseflowError(f"another process runs the sweep in {folder}: wait for it, or stop it") from None
        yield


def _sampler(space: Space, asked: Sampler | None) -> Sampler:
    if asked == "grid" and not space.is_grid:
        raise ConfigError("a grid takes a list of values for every key: give one in the place of each range")
    return asked or ("grid" if space.is_grid else "tpe")


def _study(folder: Path, sampler: Sampler, seed: int) -> "Study":
    """The study in the folder's storage; trials that a killed process left running have failed, without a reason."""
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{(folder / STORAGE).absolute()}")
    study = optuna.create_study(study_name="sweep", storage=storage, direction="maximize", load_if_exists=True)
    for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        study.tell(trial.number, state=TrialState.FAIL)
        if sampler != "grid":
            study.enqueue_trial(trial.params)
    # Of a seed that is the same at every start, a sampler would draw the same first points again.
    drawn = [seed, len(study.get_trials(deepcopy=False))]
    own = int(hashlib.sha256(json.dumps(drawn).encode()).hexdigest()[:8], 16)
    study.sampler = (
        optuna.samplers.TPESampler(seed=own) if sampler == "tpe" else optuna.samplers.RandomSampler(seed=own)
    )
    return study


def _search(
    study: "Study",
    space: Space,
    variant: str,
    seeds: Sequence[int],
    trials: int | None,
    sampler: Sampler,
    folder: Path,
    profile: str | None,
) -> None:
    from optuna.trial import TrialState

    log = run_logger()
    wanted = trials or TRIALS
    if sampler == "grid":
        grid = list(space.grid())
        wanted = min(trials or len(grid), len(grid))
        waiting = study.get_trials(deepcopy=False, states=[TrialState.WAITING])
        known = [*(trial.point for trial in _trials(study)), *(trial.user_attrs.get("point") for trial in waiting)]
        for point in grid:
            if point not in known:
                study.enqueue_trial(point, user_attrs={"point": point})
    while (done := len(_trials(study))) < wanted:
        trial = study.ask(space.distributions)
        settings = space.settings(trial.params)
        log.info("trial %d, %d of %d: %s", trial.number, done + 1, wanted, ", ".join(settings))
        try:
            runs = [train(variant, seed, profile=profile, experiment=str(folder), settings=settings) for seed in seeds]
            results = results_of(runs)
            scores = [result.dev_score for result in results]
            if not all(map(math.isfinite, scores)):
                raise CseflowError(f"a run has no finite sts/{results[0].dev}")
        except UnreachableError:  # may succeed later: the next call takes it up again
            raise
        except CseflowError as error:
            log.error("trial %d failed: %s", trial.number, error)
            trial.set_user_attr("failure", str(error))
            study.tell(trial, state=TrialState.FAIL)
            continue
        trial.set_user_attr("runs", runs)
        trial.set_user_attr("scores", scores)
        study.tell(trial, math.fsum(scores) / len(scores))


def _trials(study: "Study") -> "list[Trial]":
    """Those that came to something, be it a failure; not those that were killed or wait."""
    from optuna.trial import TrialState

    from components.search.outcome import Trial

    found = []
    for trial in study.get_trials(deepcopy=False):
        own: dict[str, Any] = trial.user_attrs
        if trial.state == TrialState.COMPLETE:
            found.append(Trial(trial.number, dict(trial.params), tuple(own["scores"]), tuple(own["runs"])))
        elif trial.state == TrialState.FAIL and "failure" in own:
            found.append(Trial(trial.number, dict(trial.params), failure=own["failure"]))
    return found
