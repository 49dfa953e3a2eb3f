"""One run of one variant with one seed: what it needs, whether it is done already, and doing it."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from components import paths
from components.config import Params, VariantSettings, variant_settings
from components.errors import CseflowError
from components.evaluation.result import RunResult
from components.graph.fresh import require_fresh
from components.runs.specify import evaluation_paths, specify, training_paths
from components.spec import RunSpec
from components.synthesis.report import figures
from components.tracking import tags
from components.tracking.delivery import Delivered, Delivery, pending
from components.tracking.journal import Journal, records
from components.tracking.lineage import data_version, dataset_versions, hardware_tags, lineage_tags
from components.tracking.runs import BEST_STEP, find_finished
from components.tracking.store import locked
from components.training.names import ENCODER
from components.training.rows import tuple_file
from components.validation.report import report_files, require_passed

if TYPE_CHECKING:
    from components.evaluation.measure import Measured
    from components.training.run import TrainingSummary


@dataclass(frozen=True)
class Run:
    """A variant and a seed under given parameters; equal fingerprints make equal runs.

    Training and measuring read `spec` and nothing else of the parameters.
    """

    params: Params
    variant: str
    seed: int = 0
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.variant} seed {self.seed}"

    @cached_property
    def settings(self) -> VariantSettings:
        return variant_settings(self.params, self.variant, self.overrides)

    @cached_property
    def spec(self) -> RunSpec:
        return specify(self.params, self.variant, self.seed, self.overrides)

    @property
    def fingerprint(self) -> str:
        return self.spec.fingerprint

    @cached_property
    def training_data(self) -> list[str]:
        """Paths, as dvc.lock has them, of what is trained on or, untrained, measured as held-out pairs."""
        parts = self.settings.variant.parts(self.params.augmentation.identity)
        return training_paths(parts, paths.views_of(self.settings.encoder.source, self.params.encoder.source))

    @cached_property
    def evaluation_data(self) -> list[str]:
        return evaluation_paths(self.params.evaluation)

    @cached_property
    def synthesis(self) -> dict[str, dict[str, Any]]:
        """Set of tuples that is trained on → figures of its synthesis; those that no LLM wrote here are left out."""
        return {name: told for name in self.spec.tuple_sets if (told := figures(tuple_file(name)))}

    @property
    def folder(self) -> Path:
        return paths.RUNS / f"{self.variant}-seed{self.seed}-{self.fingerprint}"

    @cached_property
    def needed(self) -> dict[str, list[Path]]:
        """Kind of data set → its files that are used: the suites that must have passed, by which versions."""
        files: dict[str, list[Path]] = {}
        for path in map(Path, [*self.training_data, *self.evaluation_data]):
            kind = path.parts[len(paths.DATA.parts)]  # data/<kind>/…
            files.setdefault(kind, []).extend(sorted(path.glob("*.parquet")) if path.is_dir() else [path])
        if "views" in files:
            files["corpus"] = []  # which the views were made of, and are held against
        return dict(sorted(files.items()))

    def finished(self) -> str | None:
        """The id of a finished MLflow run of this fingerprint, if there is one."""
        return find_finished(self.params.tracking.experiment, self.fingerprint)

    def forget(self) -> None:
        """Remove what earlier calls left on disk, so that `execute` begins anew.

        Raises:
            CseflowError: MLflow has not got all of it yet.
        """
        if self.folder in pending(self.folder):
            raise CseflowError(f"{self.folder} holds records that MLflow has not got; send them first: cseflow deliver")
        shutil.rmtree(self.folder, ignore_errors=True)

    def execute(self, parent: Path | None = None, links: Mapping[str, str] | None = None) -> Delivered:
        """Train, measure and record; what a killed call had done is not done again.

        A second process with the same run waits for the first, and finds it done.

        Args:
            parent: folder of the journal of the experiment that it belongs to.
            links: more tags for the MLflow run.

        Raises:
            CseflowError: the data have not passed, are missing, or training diverged. The MLflow run is then FAILED.
        """
        require_fresh(self.params, [self.variant])
        for kind, files in self.needed.items():
            require_passed(kind, files)
        lock = self.folder.with_name(f".{self.folder.name}.lock")
        with locked(lock), Journal(self.folder) as journal, Delivery(self.folder) as delivery:
            if journal.status != "FINISHED":
                self._start(journal, parent, links or {})
                try:
                    self._work(journal)
                except BaseException as error:
                    journal.finish("FAILED" if isinstance(error, Exception) else "KILLED")
                    raise
                journal.finish()
        return delivery.result

    def _start(self, journal: Journal, parent: Path | None, links: Mapping[str, str]) -> None:
        own = {
            tags.VARIANT: self.variant,
            tags.SEED: str(self.seed),
            tags.KIND: "run",
            tags.FINGERPRINT: self.fingerprint,
            tags.DATA_VERSION: data_version(),
            **links,
        }
        spec, training = self.spec, self.settings.training
        journal.start(
            self.name,
            self.params.tracking.experiment,
            tags=own | lineage_tags() | tags.validation_tags(dict.fromkeys(self.needed, True)),
            params={
                "profile": self.params.profile,
                "seed": self.seed,
                "variant": {
                    "description": self.settings.variant.description,
                    **spec.variant.model_dump(exclude_none=True),
                },
                "encoder": spec.shown_encoder,
                "training": spec.training.model_dump() | training.layout.model_dump(),
                "evaluation": spec.evaluation.model_dump(),
                **({"synthesis": self.synthesis} if self.synthesis else {}),
            },
            datasets=[
                *dataset_versions(self.training_data, "training"),
                *dataset_versions(self.evaluation_data, "evaluation"),
            ],
            parent=parent,
        )
        for kind in self.needed:
            for report in report_files(kind):
                # A copy, since what is delivered later must still be what was relied on.
                copy = self.folder / "validation" / report.name
                copy.parent.mkdir(exist_ok=True)
                shutil.copyfile(report, copy)
                journal.artifact(copy, "validation")

    def _work(self, journal: Journal) -> None:
        from components.evaluation.predictions import save_predictions
        from components.runs.measure import measure_run
        from components.training.job import Job
        from components.training.launch import train_in_processes

        job = Job(spec=self.spec, layout=self.settings.training.layout)
        trained = train_in_processes(job, self.folder, journal.metrics)
        measured = measure_run(self.spec, self.folder / ENCODER, curves(self.folder))
        journal.metrics(measured.metrics | {BEST_STEP: trained.best_step}, trained.steps)
        scores = self.folder / "scores"
        scores.mkdir(exist_ok=True)
        save_predictions(scores / "predictions.parquet", measured.gold, measured.cosines)
        (scores / "patterns.json").write_text(json.dumps(measured.patterns))
        journal.artifact(scores / "predictions.parquet", "scores")
        journal.artifact(scores / "patterns.json", "scores")
        self._write_card(trained, measured)
        journal.model(self.folder / ENCODER)

    def _write_card(self, trained: "TrainingSummary", measured: "Measured") -> None:
        from components.card.card import Facts, write_card

        result = RunResult(self.variant, self.seed, "", measured.metrics, gold=measured.gold, cosines=measured.cosines)
        facts = Facts(
            self.params,
            self.spec,
            result,
            self.settings.variant.description,
            self._baseline(),
            trained.steps,
            trained.best_step,
            trained.seconds,
            hardware_tags(),
            {name: str(told["model"]).rpartition("/")[2] for name, told in self.synthesis.items()},
        )
        write_card(self.folder / ENCODER, facts)

    def _baseline(self) -> RunResult | None:
        """What was measured of the reference under the same parameters, where a run of it lies beside this one."""
        from components.evaluation.predictions import load_predictions
        from components.evaluation.sts import spearman

        name = self.params.experiment.reference
        if name == self.variant:
            return None
        for seed in dict.fromkeys([*self.params.experiment.seeds, self.seed]):
            try:
                path = Run(self.params, name, seed).folder / "scores/predictions.parquet"
                gold, cosines = load_predictions(path) if path.is_file() else ({}, {})
            except CseflowError:  # such as views that only the reference is measured on
                continue
            if gold:
                scores = {task: 100 * spearman(gold[task], cosines[task]) for task in gold}
                metrics = {f"sts/{task}": score for task, score in scores.items()}
                metrics["sts/avg"] = fmean(scores.values())
                return RunResult(name, seed, "", metrics, gold=gold, cosines=cosines)
        return None


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Every metric's (step, value) points as the journal in `folder` has them."""
    points: dict[str, list[tuple[int, float]]] = {}
    for record, _ in records(folder / "journal.jsonl"):
        if record["kind"] == "metrics":
            for key, value in record["values"].items():
                points.setdefault(key, []).append((record["step"], value))
    return points
