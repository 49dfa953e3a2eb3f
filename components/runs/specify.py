"""From params.yaml, the data and the code at hand to the specification of a run."""

import hashlib
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from components import paths
from components.config import Params, variant_settings
from components.config.encoder import Encoder
from components.config.evaluation import Evaluation
from components.config.variants import Part
from components.errors import ConfigError, DataError
from components.runs.code import code_digest
from components.sources.fetch import record_of
from components.spec import RunSettings, RunSpec, SourcePin
from components.tracking.lineage import data_versions
from components.training.rows import columns_of, tuple_file, view_folder

LIBRARIES = (  # that compute
    *("accelerate", "numpy", "rapidfuzz", "scikit-learn", "scipy"),
    *("sentence-transformers", "tokenizers", "torch", "transformers"),
)


def specify(params: Params, variant: str, seed: int = 0, overrides: Mapping[str, Any] | None = None) -> RunSpec:
    """The specification of a run of `variant` with `seed`, on the data of dvc.lock and by the code of this process.

    Args:
        overrides: keys of section `training` to replace.

    Raises:
        ConfigError: an unknown variant, or an override that its section refuses.
        DataError: data that it reads have not been made.
    """
    settings = variant_settings(params, variant, overrides)
    read = RunSettings.of(params, settings, seed)
    sources = [read.encoder.source, *params.evaluation.sts_sources, *params.evaluation.transfer.values()]
    references = read.variant.false_negatives
    if references is not None:
        sources.append(references.reference)
    parts = training_paths(read.parts, Path(read.tokens.views))
    if references is not None and any(part.set == "corpus" for part in read.parts):
        parts.append(str(paths.CORPUS / "train.parquet"))  # whose texts the reference reads
    return RunSpec(
        **dict(read),
        sources={name: _pin(params, name) for name in sorted(set(sources))},
        training_data=data_versions(parts),
        evaluation_data=data_versions(evaluation_paths(params.evaluation)),
        code=code_digest(),
        libraries={name: version(name) for name in LIBRARIES} | _adapter_library(read.encoder),
    )


def _adapter_library(encoder: Encoder) -> dict[str, str]:
    """What computes LoRA, where it is asked for."""
    if encoder.lora is None:
        return {}
    try:
        return {"peft": version("peft")}
    except PackageNotFoundError:
        raise ConfigError("encoder.lora: peft is not installed; run: pip install 'cseflow[lora]'") from None


def training_paths(parts: Iterable[Part], views: Path = paths.VIEWS) -> list[str]:
    """Paths, as dvc.lock has them, of what is trained on or, untrained, measured as held-out pairs.

    `views` is the folder of the views made with the encoder's tokenizer.
    """
    found: list[Path] = []
    for part in parts:
        if part.set == "corpus":
            found += [view_folder(c, split, views) for split in ("train", "heldout") for c in columns_of(part.roles)]
        else:
            found.append(tuple_file(part.set))
    return [str(path) for path in dict.fromkeys(found)]


def evaluation_paths(evaluation: Evaluation) -> list[str]:
    """Paths of the STS tasks that are measured, the dev task among them."""
    return [str(paths.STS / f"{task}.parquet") for task in [*evaluation.judged, evaluation.dev]]


def _pin(params: Params, name: str) -> SourcePin:
    source, record = params.sources[name], record_of(paths.SOURCES / name)
    try:
        content = hashlib.sha256(record.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise DataError(f"{record} is missing: run dvc repro (or dvc checkout) to bring the source here") from None
    return SourcePin(uri=source.uri, sha256=source.sha256, content=content)
