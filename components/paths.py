"""Where things lie, relative to the repository's root. DVC's outs carry the same names in dvc.yaml."""

from pathlib import Path

DATA = Path("data")
SOURCES = Path("data/sources")  # one folder per entry of `sources` in params.yaml
CORPUS = Path("data/corpus")  # train.parquet, heldout.parquet, summary.json
VIEWS = Path("data/views")  # <split>/<view>: sentences of train and heldout tokenised for encoder.source; `views_of`
NLI = Path("data/nli")  # train.parquet, where the profile has a source of NLI triplets
SETS = Path("data/sets")  # <name>.parquet: tuples that others made, of section `sets`
TUPLES = Path("data/tuples")  # nli.parquet, sts.parquet, each with its report beside it: nli.json, sts.json
STS = Path("data/sts")  # <task>.parquet, and STSB-dev.parquet
STS_TRAIN = STS / "train/STSB.parquet"  # apart from what is measured on
ANSWERS = Path("answers")  # <pattern>.jsonl: what an LLM answered, kept because it may have cost money
BASELINES = Path("baselines")  # <profile>/<kind>.json: what accepted data look like; in git
VALIDATION = Path("data/validation")  # <kind>.json and <kind>.html, one report per kind of data set
RUNS = Path("runs")  # one folder per training run: checkpoints, journal, exported encoder
REPORTS = Path("reports")  # leaderboard, plots, verdicts


def views_of(source: str, main: str) -> Path:
    """Where the views tokenised for the encoder of `source` lie; `main` is encoder.source of params.yaml."""
    return VIEWS if source == main else VIEWS / f"of-{source}"
