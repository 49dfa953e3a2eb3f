"""transformers' Trainer, told what a contrastive batch, evaluation and checkpoint are."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from accelerate.utils import broadcast_object_list
from numpy.typing import NDArray
from safetensors.torch import load_model, save_model
from torch import nn
from torch.utils.data import Dataset, SequentialSampler
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from components.config.training import Recipe
from components.errors import CseflowError
from components.progress import Progress
from components.training import checkpoints
from components.training.collate import Collator
from components.training.model import ContrastiveModel
from components.training.names import PROGRESS
from components.training.plan import Plan, shared_out
from components.training.trace import Trace

Record = Callable[[dict[str, float], int], None]  # metrics by name, step


class DivergedError(CseflowError):
    """The loss is no longer a finite number."""


class PlannedShares(Dataset[NDArray[Any]]):
    """The (part, row) pairs of each step, one share for each process, in the order of `components.training.plan`."""

    def __init__(self, shares: Plan) -> None:
        self._shares = shares

    def __len__(self) -> int:
        return len(self._shares)

    def __getitem__(self, index: int) -> NDArray[Any]:
        return self._shares[index]


class ContrastiveTrainer(Trainer):
    """One pass over a plan: the plan holds every epoch, so the library's own epoch is the whole training."""

    def __init__(
        self,
        model: ContrastiveModel,
        *,
        plan: Plan,
        collator: Collator,
        trace: Trace,
        training: Recipe,
        folder: Path,
        seed: int,
        record: Record,
    ) -> None:
        cuda = torch.cuda.is_available()
        arguments = TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=1,
            learning_rate=training.learning_rate,
            lr_scheduler_type="linear",
            warmup_steps=math.ceil(training.warmup * len(plan)),
            weight_decay=training.weight_decay,
            max_grad_norm=training.max_gradient_norm,
            bf16=training.precision == "bf16",
            fp16=training.precision == "fp16",
            use_cpu=not cuda,
            seed=seed,
            logging_steps=max(1, training.evaluation_steps // 10),
            logging_nan_inf_filter=False,
            eval_strategy="no",  # StepSchedule asks for it, before every checkpoint
            save_strategy="steps",
            save_steps=training.evaluation_steps,
            metric_for_best_model=trace.dev_score,
            greater_is_better=True,
            dataloader_pin_memory=cuda,
            remove_unused_columns=False,
            report_to="none",
            disable_tqdm=True,
        )
        # DataParallel can't split a batch of roles: several devices take several processes, by torchrun.
        arguments._n_gpu = min(arguments.n_gpu, 1)
        shares = shared_out(plan, arguments.world_size)
        arguments.per_device_train_batch_size = 1  # a share, whatever its rows are
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=PlannedShares(shares),
            data_collator=lambda drawn: collator(drawn[0]),  # type: ignore[arg-type, return-value]
        )
        self.remove_callback(PrinterCallback)
        self.add_callback(StepSchedule(self, training.evaluation_steps))
        self.add_callback(QuietProgress(folder.name, trace.dev_score))
        self._folder = folder
        self._trace = trace
        self._record = record if self.is_world_process_zero() else lambda values, step: None
        self._terms: dict[str, torch.Tensor] = {}
        self._term_steps = 0

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The sum of the objective's terms."""
        terms = model(**inputs)
        for name, value in terms.items():
            self._terms[name] = self._terms.get(name, torch.zeros_like(value.detach())) + value.detach()
        self._term_steps += 1
        loss = torch.stack(list(terms.values())).sum()
        return (loss, terms) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Hand the figures on, by the names that every variant shares.

        Raises:
            DivergedError: the loss is NaN or infinite.
        """
        super().log(logs, start_time)
        if "loss" not in logs:
            return
        step = self.state.global_step
        if not math.isfinite(logs["loss"]):
            kept = checkpoints.marked_checkpoints(self._folder)
            raise DivergedError(
                f"the loss is {logs['loss']} at step {step}; lower training.learning_rate (now "
                f"{self.args.learning_rate:g}) or raise the temperature"
                + (f"; {kept[-1]} holds the last good weights" if kept else "")
            )
        named = {"train/loss": logs["loss"], "train/learning_rate": logs["learning_rate"], PROGRESS: logs["epoch"]}
        # Where a scaled fp16 gradient overflows, the scaler leaves the step out and takes a smaller scale.
        if "grad_norm" in logs and (not self.args.fp16 or math.isfinite(logs["grad_norm"])):
            named["train/gradient_norm"] = float(logs["grad_norm"])
        named |= {f"train/{name}": float(total) / self._term_steps for name, total in self._terms.items()}
        self._terms, self._term_steps = {}, 0
        self._record(named, step)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """The dev task and geometry, now."""
        encoder = self.accelerator.unwrap_model(self.model).encoder
        # The first process measures for all: they must agree on the best step to the last digit.
        measured = [self._trace.measure(encoder) if self.is_world_process_zero() else {}]
        [metrics] = broadcast_object_list(measured)
        self._record(metrics, self.state.global_step)
        logs = {f"eval_{name}": value for name, value in metrics.items()}
        self.log(logs)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, logs)
        return logs

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)  # type: ignore[arg-type]

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """The weights alone, those that layers share (T5's embeddings) once."""
        folder = Path(output_dir or self._folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_model(self.accelerator.unwrap_model(self.model), str(folder / checkpoints.WEIGHTS))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_model(cast(nn.Module, model or self.model), Path(resume_from_checkpoint) / checkpoints.WEIGHTS)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()  # for every process's random state, which the checkpoint holds too
        if not self.args.should_save:
            return
        checkpoints.mark_complete(self._folder / f"checkpoint-{self.state.global_step}")
        checkpoints.discard(self._folder, keep=checkpoints.needed(self._folder))


class StepSchedule(TrainerCallback):
    """Evaluates before the first step, before every checkpoint and after the last step."""

    def __init__(self, trainer: ContrastiveTrainer, every: int) -> None:
        self._trainer = trainer
        self._every = every

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """A resumed training has its first evaluation behind it, and its random states in the checkpoint."""
        if state.global_step == 0:
            if args.process_index > 0:  # dropout masks of its own; the first process has those of a training alone
                torch.manual_seed(args.seed + args.process_index)
            self._trainer.evaluate()

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """The momentum encoder follows."""
        self._trainer.accelerator.unwrap_model(self._trainer.model).follow()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Logged too, so that the checkpoint's loss is known to be finite."""
        if state.global_step % self._every == 0 or state.global_step == state.max_steps:
            control.should_log = control.should_evaluate = True


class QuietProgress(TrainerCallback):
    """A bar alone, named, with the last loss and dev score, instead of a line per log."""

    def __init__(self, name: str, dev_score: str) -> None:
        self._name = name
        self._dev_score = dev_score
        self._bar: Progress | None = None
        self._shown: dict[str, str] = {}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Show the bar, with the run's name."""
        if state.is_world_process_zero:
            self._bar = Progress(total=state.max_steps, desc=self._name, unit=" steps")

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Move on; a resumed training begins where it stopped."""
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any
    ) -> None:
        """Show the figures at the bar's end."""
        if self._bar is None:
            return
        shown = {"loss": logs.get("loss"), "dev": logs.get(f"eval_{self._dev_score}")}
        self._shown |= {key: f"{value:.4g}" for key, value in shown.items() if value is not None}
        self._bar.set_postfix(self._shown)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
