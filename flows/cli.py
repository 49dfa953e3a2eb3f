"""The command `cseflow`. Each subcommand imports what it needs when it runs, so that `--help` answers at once."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.errors import CseflowError, exit_on_error
from components.interrupts import ends_on_signals
from components.processes import spare_loopback
from components.progress import quieten_libraries


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the console script."""
    chosen = _parser().parse_args(arguments)
    os.environ.setdefault("DO_NOT_TRACK", "1")
    spare_loopback()
    quieten_libraries()
    with exit_on_error(), ends_on_signals():
        chosen.run(chosen)


class _Version(argparse.Action):
    """Looks the version up only where it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"cseflow {version('cseflow')}\n")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cseflow",
        description="Train, measure, compare and promote sentence encoders.",
        epilog="Commands run in a project's folder: a clone of cseflow's repository, which holds params.yaml.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    experiment = commands.add_parser("experiment", help="train variants, compare them, judge the best by the gate")
    experiment.add_argument(
        "--variants", type=_names, help="entries of params.yaml, by commas (default: experiment.variants)"
    )
    experiment.add_argument("--seeds", type=_seeds, help="by commas (default: experiment.seeds)")
    _add_settings(experiment)
    experiment.add_argument("--force", action="store_true", help="train even what is done already")
    experiment.add_argument("--fail-on-gate", action="store_true", help="exit non-zero where the gate does not pass")
    experiment.set_defaults(run=_experiment)

    train = commands.add_parser("train", help="train and measure one variant")
    train.add_argument("variant", help="an entry of `variants` in params.yaml")
    train.add_argument("--seed", type=_seed, default=0)
    _add_settings(train)
    train.add_argument("--force", action="store_true", help="train even if it is done already")
    train.set_defaults(run=_train)

    sweep = commands.add_parser(
        "sweep", help="train a variant under many settings, and rank them by dev; the same command goes on after a kill"
    )
    sweep.add_argument("variant", help="an entry of `variants` in params.yaml")
    sweep.add_argument(
        "--set",
        action="append",
        dest="settings",
        required=True,
        metavar="KEY=VALUES",
        help="values by commas (training.learning_rate=1e-5,3e-5) or a range (training.warmup=0.0..0.2) for a key of "
        "params.yaml; a single value is the same in all trials; variants.*.KEY is the variant's own",
    )
    sweep.add_argument("--seeds", type=_seeds, help="of each trial, by commas (default: experiment.seeds)")
    sweep.add_argument("--trials", type=_trials, help="how many (default: the whole grid; of ranges 20)")
    sweep.add_argument(
        "--sampler", choices=("grid", "random", "tpe"), help="default: grid where every key has values, else tpe"
    )
    sweep.set_defaults(run=_sweep)

    compare = commands.add_parser(
        "compare", help="put finished runs side by side: leaderboard, plots and one HTML page"
    )
    _add_runs(compare)
    compare.add_argument(
        "--into",
        type=Path,
        metavar="FOLDER",
        help="the report's folder, which is replaced (default: reports/comparison)",
    )
    compare.set_defaults(run=_compare)

    promote = commands.add_parser("promote", help="judge the best variant of finished runs by the gate")
    _add_runs(promote)
    promote.add_argument("--fail-on-gate", action="store_true", help="exit non-zero where the gate does not pass")
    promote.set_defaults(run=_promote)

    push = commands.add_parser("push", help="send an encoder with its model card to a Hugging Face hub")
    push.add_argument("repository", metavar="OWNER/NAME", help="on HF_ENDPOINT's hub (default: huggingface.co)")
    push.add_argument(
        "--run",
        dest="pushed",
        default="champion",
        metavar="RUN",
        help="id of an MLflow run, or its folder in runs/ (default: champion)",
    )
    push.add_argument("--dry-run", action="store_true", help="show the files and the card, and send nothing")
    push.add_argument("--private", action="store_true", help="make a repository that only its owners see")
    push.set_defaults(run=_push)

    join = commands.add_parser("join", help="lend this node to a training of several nodes that was begun elsewhere")
    join.add_argument("folder", type=Path, help="of the run, as `cseflow train` names it there")
    join.set_defaults(run=_join)

    evaluate = commands.add_parser(
        "evaluate", help="score any sentence-transformers folder, hub id or models:/name@alias"
    )
    evaluate.add_argument("model")
    evaluate.add_argument(
        "--tasks", type=_names, help="such as STS12,STSB,MR or of evaluation.tasks (default: all that are found)"
    )
    evaluate.add_argument("--senteval", type=Path, metavar="DIR", help="folder in SentEval's layout")
    evaluate.add_argument(
        "--precision",
        choices=("fp32", "bf16"),
        default="fp32",
        help="bf16 is faster where the processor multiplies it natively, and can move a score by a tenth of a point",
    )
    evaluate.add_argument(
        "--classifier",
        choices=("adam", "sklearn"),
        default="adam",
        help="of the transfer tasks, SentEval's: adam, as in the papers' tables, or sklearn",
    )
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the scores there too")
    evaluate.add_argument(
        "--mteb",
        nargs="?",
        const=(),
        type=_names,
        metavar="TASKS",
        help="by mteb's own runner: its tasks, or those of evaluation.tasks (default: the papers' STS tasks)",
    )
    evaluate.add_argument(
        "--mteb-results", type=Path, default=Path("reports/mteb"), metavar="DIR", help="(default: %(default)s)"
    )
    evaluate.add_argument(
        "--mteb-name", metavar="OWNER/NAME", help="of the model in mteb's results (default: cseflow/ and its own name)"
    )
    evaluate.set_defaults(run=_evaluate)

    up = commands.add_parser("up", help="start servers and workers on this machine, and deploy (make up)")
    up.add_argument("--prefect-port", type=_port, default=4200)
    up.add_argument("--mlflow-port", type=_port, default=5000)
    up.add_argument("--gpus", type=_names, help="devices that get a worker, by commas (default: all that are visible)")
    up.add_argument(
        "--workers", action="store_true", help="workers alone, for PREFECT_API_URL's and MLFLOW_TRACKING_URI's servers"
    )
    up.set_defaults(run=_up)

    for name, run, told in (
        ("down", _down, "stop what up started"),
        ("status", _status, "what of it runs, where, and the data version"),
        ("deploy", _deploy, "prefect.yaml in step with params.yaml, and on the Prefect server"),
        ("rollback", _rollback, "make the previous champion champion again"),
        ("deliver", _deliver, "send to MLflow what a dead server left on disk"),
    ):
        commands.add_parser(name, help=told).set_defaults(run=run)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        dest="settings",
        metavar="KEY=VALUE",
        help="replace a key of params.yaml for this command alone, such as training.learning_rate=3e-5; more than once "
        "for several keys; variants.*.KEY is the key of each variant that is trained",
    )


def _add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="id of an MLflow run, its folder in runs/, an experiment (all its finished runs), or champion",
    )


def _quiet(record: logging.LogRecord) -> bool:
    """Whether Prefect's console shows a record: what we foresaw is said once, in our own words, at the end."""
    return record.exc_info is None or not isinstance(record.exc_info[1], CseflowError)


def _quieten() -> None:
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_quiet)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _seeds(text: str) -> list[int]:
    return [_seed(number) for number in _names(text)]


def _seed(text: str) -> int:
    return _number(text, "a seed", 0, 2**32 - 1)


def _trials(text: str) -> int:
    return _number(text, "a number of trials", 1, 100_000)


def _port(text: str) -> int:
    return _number(text, "a port", 1, 65535)


def _number(text: str, what: str, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{what} is a whole number from {least} to {most}, not {text!r}")
    return int(text)


def _experiment(chosen: argparse.Namespace) -> None:
    from components.config.command import command_params
    from components.tracking.store import is_server, shown_uri

    params = command_params(chosen.variants, chosen.settings).params
    from flows.experiment import experiment

    _quieten()
    done = experiment(
        chosen.variants, chosen.seeds, force=chosen.force, fail_on_gate=chosen.fail_on_gate, settings=chosen.settings
    )
    say = sys.stdout.write
    say((done.page.parent / "leaderboard.txt").read_text() + "\n")
    say(done.gate.text + "\n")
    for name, why in done.failed.items():
        say(f"failed: {name}: {why}\n")
    say(f"Report:            {done.page}\n")
    here = Path(sys.executable).parent
    tools = here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here
    uri = shown_uri()
    say(f"MLflow's UI:       {uri if is_server(uri) else f'{tools}/mlflow ui --backend-store-uri {uri}'}\n")
    if done.gate.champion:
        champion = f"models:/{params.promotion.model}@champion"
        say(
            f'Load the champion: {tools}/python -c "import mlflow; '
            f"mlflow.set_tracking_uri('{uri}'); "
            f"print(mlflow.sentence_transformers.load_model('{champion}').encode('A sentence.').shape)\"\n"
        )
    if done.failed:
        raise SystemExit(1)


def _train(chosen: argparse.Namespace) -> None:
    from components.config.command import command_params

    command_params([chosen.variant], chosen.settings)
    from flows.train import train

    _quieten()
    done = train(chosen.variant, chosen.seed, force=chosen.force, settings=chosen.settings)
    sys.stdout.write(f"MLflow run {done}\n")


def _sweep(chosen: argparse.Namespace) -> None:
    from flows.sweep import sweep

    _quieten()
    done = sweep(chosen.variant, chosen.settings, chosen.seeds, chosen.trials, chosen.sampler)
    from rich.console import Console
    from rich.table import Table

    from components.search.outcome import table_rows

    heads, rows = table_rows(done.trials, done.space)
    shown = Table(*heads)
    for row in rows:
        shown.add_row(*row)
    Console(highlight=False, markup=False).print(shown)
    for trial in done.trials:
        if trial.failure:
            sys.stdout.write(f"failed: trial {trial.number}: {trial.failure}\n")
    for step in done.steps:
        sys.stdout.write(f"{step}\n")
    sys.stdout.write(f"Report: {done.page}\n")
    if not done.steps:
        raise SystemExit(1)


def _compare(chosen: argparse.Namespace) -> None:
    run_ids = _run_ids(chosen.runs)
    from components import paths
    from flows.compare import compare

    _quieten()
    page = compare(run_ids, into=chosen.into or paths.REPORTS / "comparison")
    sys.stdout.write(f"{(page.parent / 'leaderboard.txt').read_text()}\nReport: {page}\n")


def _promote(chosen: argparse.Namespace) -> None:
    run_ids = _run_ids(chosen.runs)
    from flows.promote import promote

    _quieten()
    done = promote(run_ids)
    sys.stdout.write(done.text)
    if chosen.fail_on_gate:
        done.require()


def _push(chosen: argparse.Namespace) -> None:
    import tempfile

    from components.card import hub
    from components.card.card import CARD
    from components.errors import ConfigError
    from components.tracking.registry import encoder_uri, local_copy

    hub.require_name(chosen.repository)
    run_ids = _run_ids([chosen.pushed])
    if len(run_ids) > 1:
        raise ConfigError(f"--run {chosen.pushed} is an experiment of {len(run_ids)} runs: name one of them")
    say = sys.stdout.write
    with tempfile.TemporaryDirectory(prefix="cseflow-") as scratch:
        folder = local_copy(encoder_uri(run_ids[0]), Path(scratch) / "encoder")
        hub.name_in_card(folder, chosen.repository)
        if chosen.dry_run:
            for name, size in hub.contents(folder).items():
                say(f"{size:>12,}  {name}\n")
            if (folder / CARD).is_file():
                say(f"\n{(folder / CARD).read_text(encoding='utf-8')}\n")
            say(f"dry run: nothing was sent to {hub.endpoint()}/{chosen.repository}\n")
            return
        done = hub.push(folder, chosen.repository, private=chosen.private, message=f"MLflow run {run_ids[0]}")
        if CARD not in done.files:
            say("it has no model card: an earlier version of cseflow trained it; train it again for one\n")
    for name in done.removed:
        say(f"removed there: {name}\n")
    say(f"{len(done.files)} files, {sum(done.files.values()):,} bytes: {done.url}\n")
    say(f"Load it: SentenceTransformer({chosen.repository!r})\n")


def _run_ids(named: Sequence[str]) -> list[str]:
    """Ids of the finished MLflow runs that the arguments RUN stand for."""
    from components.config import load_params
    from components.errors import ConfigError
    from components.tracking import registry
    from components.tracking.runs import finished_runs

    model = load_params().promotion.model
    found = []
    for name in named:
        if name == registry.CHAMPION:
            champion = registry.champion(model)
            if champion is None:
                raise ConfigError(
                    f"{model} has no champion yet: name a run, or promote one first (cseflow promote RUN)"
                )
            found.append(champion.run_id)
        else:
            found += finished_runs([name])
    return list(dict.fromkeys(found))


def _join(chosen: argparse.Namespace) -> None:
    from components.training.launch import join

    join(chosen.folder)
    sys.stdout.write(f"{chosen.folder}: trained\n")


def _evaluate(chosen: argparse.Namespace) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="cseflow-") as folder:
        model = chosen.model
        if model.startswith("models:/"):
            from components.tracking.registry import local_copy

            model = str(local_copy(model, folder))
        (_evaluate_here if chosen.mteb is None else _evaluate_by_mteb)(model, chosen)


def _evaluate_here(model: str, chosen: argparse.Namespace) -> None:
    from components import paths
    from components.evaluation.evaluate import find_tasks, run
    from components.graph.fresh import require_fresh_stages

    params, own = _own_tasks()
    if params and paths.STS in find_tasks(chosen.tasks, chosen.senteval, own).values():
        require_fresh_stages(params, ["sts"])
    run(model, chosen.tasks, chosen.senteval, chosen.json, chosen.precision, chosen.classifier, own)


def _evaluate_by_mteb(model: str, chosen: argparse.Namespace) -> None:
    from components.errors import ConfigError
    from components.evaluation.mteb_runner import name_of, run_mteb
    from components.graph.fresh import require_fresh_stages

    for option, given in (
        ("--tasks", chosen.tasks),
        ("--senteval", chosen.senteval),
        ("--json", chosen.json),
        ("--precision", chosen.precision != "fp32"),
        ("--classifier", chosen.classifier != "adam"),
    ):
        if given:
            raise ConfigError(f"{option} is not for mteb's runner: leave it out, or leave out --mteb")
    name = chosen.mteb_name or name_of(chosen.model)
    if name.count("/") != 1:
        raise ConfigError(f"--mteb-name: {name!r} is not OWNER/NAME")
    params, own = _own_tasks()
    if params and set(own).intersection(chosen.mteb):
        require_fresh_stages(params, ["sts"])
    run_mteb(model, name, chosen.mteb or None, chosen.mteb_results, own)
    sys.stdout.write(f"mteb's results: {chosen.mteb_results}/results\n")


def _own_tasks() -> tuple[Any, list[str]]:
    """params.yaml, where there is one, and the tasks of evaluation.tasks that judge."""
    from components.config import load_params
    from components.config.load import PARAMS

    if not PARAMS.is_file():
        return None, []
    params = load_params()
    return params, [name for name in params.evaluation.judged if name in params.evaluation.tasks]


def _rollback(chosen: argparse.Namespace) -> None:
    from components.config import load_params
    from components.tracking.registry import rollback

    now = rollback(load_params().promotion.model)
    sys.stdout.write(f"{now.uri} (MLflow run {now.run_id}) is champion of {now.model} again\n")


def _deliver(chosen: argparse.Namespace) -> None:
    from components.config.load import require_project

    require_project()
    from components import paths
    from components.tracking.delivery import deliver, pending
    from components.tracking.relocation import relocate
    from components.tracking.store import sqlite_file, tracking_uri

    database = sqlite_file(tracking_uri())
    if database is not None:
        relocate(database)
    waiting = pending(paths.RUNS)
    for folder in waiting:
        sys.stdout.write(f"{folder}: {deliver(folder).sent} records in MLflow\n")
    if not waiting:
        sys.stdout.write("nothing waits: MLflow has everything\n")


def _up(chosen: argparse.Namespace) -> None:
    from flows.servers import up

    up(chosen.prefect_port, chosen.mlflow_port, chosen.gpus, servers=not chosen.workers)


def _down(chosen: argparse.Namespace) -> None:
    from flows.servers import down

    down()


def _status(chosen: argparse.Namespace) -> None:
    from flows.servers import status

    sys.stdout.write(status())


def _deploy(chosen: argparse.Namespace) -> None:
    from flows.servers import deploy

    deploy()
    sys.stdout.write("deployed; run one with: prefect deployment run train/VARIANT\n")
