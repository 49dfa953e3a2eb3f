"""Whether data are those of params.yaml: what dvc.lock says they were made from, held against what is there now.

No second `dvc repro`: a stage's plan and receipts are made anew in memory, and the digests in dvc.lock do the rest.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML

from components.config import Params
from components.errors import DataError
from components.files import file_digest
from components.graph.plan import STAGES, Demand, encoder_of, plan_file, plan_of, plan_text, reference_of
from components.graph.receipts import receipt_file, receipt_text, require_pinned
from components.paths import VALIDATION

LOCK = Path("dvc.lock")
Files = dict[str, str]  # path → md5
Lock = dict[str, dict[str, Files]]  # stage → "deps", "outs" → files


def require_fresh(params: Params, variants: Iterable[str]) -> None:
    """See that the data that `variants` need were made, and from what params.yaml, the code and the sources are now.

    A folder without dvc.yaml is no project under DVC, and its data are whoever's made them: nothing is asked there.

    Raises:
        DataError: they weren't; the sentence names the stage, what has changed, and what to type.
    """
    names = list(variants)
    read = {*(encoder_of(params, name) for name in names), *params.evaluation.transfer.values()}
    read |= {source for name in names for source in reference_of(params, name)}
    _Check(params, names).require(_stages_of(params, names), sorted(read))


def require_fresh_stages(params: Params, stages: Iterable[str]) -> None:
    """As `require_fresh`, for what these stages made.

    Raises:
        DataError: as `require_fresh`.
    """
    _Check(params, []).require(stages, [])


class _Check:
    """dvc.lock beside what the stages would be made from now, where `variants` stood in experiment.variants too."""

    def __init__(self, params: Params, variants: list[str]) -> None:
        self._params, self._variants = params, variants
        self._demand, self._own = Demand.of(params, variants), Demand.of(params)
        self._receipts = self._demand.receipts(params)
        self._seen: set[str] = set()

    def require(self, stages: Iterable[str], sources: Iterable[str]) -> None:
        """Raise DataError unless all that `stages` and the stages before them read is as it was, and `sources` are."""
        if not Path("dvc.yaml").is_file():
            return
        self._lock = _read(LOCK)
        self._makers = {out: stage for stage, entry in self._lock.items() for out in entry["outs"]}
        for stage in stages:
            self._require(stage)
        for name in sources:
            require_pinned(name, self._params.sources[name])

    def _require(self, stage: str) -> None:
        if stage in self._seen:
            return
        self._seen.add(stage)
        if stage not in self._lock:
            raise DataError(f"stage {stage} has not made its data yet: run dvc repro")
        deps = self._lock[stage]["deps"]
        makers = {
            path: maker for path in deps if (maker := self._maker(path)) not in (None, "plan", "fetch")
        }  # whose part is looked at below
        for maker in makers.values():  # first, for theirs is the cause
            self._require(maker)
        if stage in STAGES:
            self._require_plan(stage, deps)
            self._require_sources(stage, deps)
        self._require_report(stage)
        for path, maker in makers.items():
            if self._lock[maker]["outs"].get(path, deps[path]) != deps[path]:
                raise DataError(f"stage {stage} has read another {path} than stage {maker} has made: run dvc repro")

    def _require_plan(self, stage: str, deps: Files) -> None:
        path = plan_file(stage)
        now, then = plan_of(stage, self._params, self._demand), deps.get(str(path))
        if then == _md5(plan_text(now)):
            return
        own = plan_of(stage, self._params, self._own)
        if then == _md5(plan_text(own)):
            whose = [
                name for name in self._variants if plan_of(stage, self._params, Demand.of(self._params, [name])) != own
            ]
            raise DataError(
                f"stage {stage} has not made what {', '.join(whose)} trains on, because no variant of "
                f"experiment.variants in params.yaml trains on it: add {', '.join(whose)} there and run dvc repro"
            )
        old = json.loads(path.read_text()) if path.is_file() and file_digest(path, "md5") == then else None
        raise DataError(f"stage {stage} made its data {_changed(old, now)}: run dvc repro, or take the change back")

    def _require_sources(self, stage: str, deps: Files) -> None:
        reader = STAGES[stage].receipt
        if reader is None:
            return
        names = self._receipts[reader]
        for name in names:
            require_pinned(name, self._params.sources[name])
        if deps.get(str(receipt_file(reader))) != _md5(receipt_text(names)):
            raise DataError(f"stage {stage} has read another content of {', '.join(names)}: run dvc repro")

    def _require_report(self, stage: str) -> None:
        """A report on other data than dvc.lock has says that the data here are others too; it holds their digests."""
        for path, digest in self._lock[stage]["outs"].items():
            report = Path(path)
            if report.parent == VALIDATION and report.is_file() and file_digest(report, "md5") != digest:
                raise DataError(
                    f"{path} is not the one that dvc.lock has, so the data that it judged are not either: run dvc "
                    "checkout to have those of dvc.lock, or dvc repro to make them anew"
                )

    def _maker(self, path: str) -> str | None:
        """The stage whose output `path` is, or lies in."""
        pure = PurePosixPath(path)
        return next((self._makers[str(each)] for each in (pure, *pure.parents) if str(each) in self._makers), None)


def _stages_of(params: Params, variants: Iterable[str]) -> Iterator[str]:
    """The stages that the data of `variants` come from at first hand, and those that let them pass."""
    yield from ("sts", "validate@sts")
    for variant in variants:
        for each in {part.set for part in params.variants[variant].data} or {"corpus"}:
            kind, _, pattern = each.partition("/")
            if kind == "corpus":
                yield from ("views", "validate@corpus", "validate@views")
            elif kind == "tuples":
                yield from (f"synthesize@{pattern}", "validate@tuples")
            else:
                yield from (kind, f"validate@{kind}")


def _changed(old: dict[str, Any] | None, now: dict[str, Any]) -> str:
    """What of a plan is no longer so, in words."""
    if not old or not now:
        return "from other parameters or other code"
    then, settings = old["settings"], now["settings"]
    keys = [key for key in sorted({*then, *settings}) if then.get(key) != settings.get(key)]
    told = [f"{key} {_shown(then.get(key))}, which is {_shown(settings.get(key))} now" for key in keys[:3]]
    told += [f"{len(keys) - 3} more keys"] if len(keys) > 3 else []
    if told:
        return f"with {', and '.join(told)}"
    files = [path for path in sorted({*old["code"], *now["code"]}) if old["code"].get(path) != now["code"].get(path)]
    more = f" and {len(files) - 3} more files" if len(files) > 3 else ""
    return f"by code that has changed since, in {', '.join(files[:3])}{more}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _read(path: Path) -> Lock:
    if not path.is_file():
        raise DataError(f"{path} is missing: run dvc repro to make the data")
    stages = YAML(typ="safe").load(path).get("stages") or {}
    return {
        name: {kind: {each["path"]: each.get("md5", "") for each in entry.get(kind, [])} for kind in ("deps", "outs")}
        for name, entry in stages.items()
    }


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
