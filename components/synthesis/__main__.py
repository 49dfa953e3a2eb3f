"""`python -m components.synthesis nli|sts`: the DVC stages `synthesize`.

With `--dry-run [N]`, what it would take; with `--share K/N`, one of N processes that ask side by side.
"""

import argparse
import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from components.config import Params, load_params
from components.errors import ConfigError, CseflowError, DataError, exit_on_error
from components.files import written_whole
from components.graph.plan import Demand
from components.paths import ANSWERS, SOURCES, TUPLES
from components.progress import Progress
from components.synthesis.backends.choose import backend_of
from components.synthesis.budget import part
from components.synthesis.filters import key_of
from components.synthesis.ledger import WHOLE, Ledger, Share
from components.synthesis.make import Made, Maker
from components.synthesis.prepare import prepare
from components.synthesis.prompt import SCHEMA as ANSWER
from components.synthesis.report import report
from components.synthesis.tuples import PATTERNS, ROLES, SCHEMA

SAMPLE = 32  # sentences of a dry run


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m components.synthesis", description="tuples of corpus sentences, written by an LLM"
    )
    parser.add_argument("pattern", choices=PATTERNS)
    how = parser.add_mutually_exclusive_group()  # a dry run of a share would be the whole share
    how.add_argument(
        "--dry-run",
        type=int,
        nargs="?",
        const=SAMPLE,
        metavar="N",
        help=f"ask about N sentences alone (default: {SAMPLE}), show what came of it, and estimate the whole",
    )
    how.add_argument(
        "--share",
        type=_share,
        default=WHOLE,
        metavar="K/N",
        help="ask about every N-th sentence from the K-th on, for 1/N of the tuples; dvc repro then puts them together",
    )
    chosen = parser.parse_args()
    params = load_params()
    if chosen.pattern not in params.synthesis.tuples and (chosen.dry_run or chosen.share.of > 1):
        raise ConfigError(f"synthesis.tuples asks for no {chosen.pattern}; add how many tuples are wanted")
    if not chosen.dry_run and chosen.pattern not in Demand.of(params).tuples:
        _leave_empty(chosen.pattern)
        return
    with Ledger(ANSWERS, chosen.pattern, chosen.share) as ledger:
        if chosen.share.of > 1:
            _ask(chosen.pattern, params, ledger, chosen.share)
        elif chosen.dry_run:
            _dry_run(chosen.pattern, params, ledger, chosen.dry_run)
        else:
            _synthesize(chosen.pattern, params, ledger)


def _leave_empty(pattern: str) -> None:
    """The stage's outputs without a tuple, for nobody trains on any: no LLM is asked."""
    path = TUPLES / f"{pattern}.parquet"
    with written_whole(path) as aside:
        pq.write_table(SCHEMA.empty_table(), aside)
    with written_whole(path.with_suffix(".json")) as aside:
        aside.write_text(json.dumps({"wanted": 0}) + "\n")
    sys.stdout.write(f"{path}: empty, no variant of experiment.variants trains on tuples of pattern {pattern}\n")


def _share(text: str) -> Share:
    number, of = (int(count) if count.isdecimal() else 0 for count in text.partition("/")[::2])
    if not 1 <= number <= of:
        raise argparse.ArgumentTypeError(f"{text!r} is not K/N with K of 1 to N")
    return Share(number, of)


def _ask(pattern: str, params: Params, ledger: Ledger, share: Share) -> None:
    """Have a share's answers in its ledger; no tuples are written, for which are the first is known of all alone."""
    wanted = math.ceil(params.synthesis.tuples[pattern] / share.of)  # type: ignore[index]
    name = f"{pattern} {share.number}/{share.of}"
    with Progress(total=wanted * len(ROLES[pattern]), desc=name, unit=" texts", miniters=0, mininterval=1) as bar:
        maker = _maker(pattern, params, ledger, wanted, None, lambda maker: _show(bar, maker), share)
        made = maker.run()
    if len(made.rows) < wanted and made.stopped != "corpus":
        raise CseflowError(f"the budget of {made.stopped} is spent; all answers are kept in {ledger.path}")
    sys.stdout.write(
        f"{ledger.path}: answers for {len(made.rows):,} tuples, {maker.asked:,} requests this time; next, when all "
        f"{share.of} shares are asked for: dvc repro\n"
    )


def _synthesize(pattern: str, params: Params, ledger: Ledger) -> None:
    settings = params.synthesis
    wanted = settings.tuples[pattern]  # type: ignore[index]
    with Progress(total=wanted * len(ROLES[pattern]), desc=pattern, unit=" texts", miniters=0, mininterval=1) as bar:
        maker = _maker(pattern, params, ledger, wanted, None, lambda maker: _show(bar, maker))
        made = maker.run()
    count, told = len(made.rows), _told(maker)
    if count < wanted and made.stopped != "corpus":
        less = f", or lower synthesis.tuples.{pattern} to {count}, which costs little or nothing more," if count else ""
        raise CseflowError(
            f"the budget of {made.stopped} is spent: {count:,} of {wanted:,} tuples are made, from {told}; all answers "
            f"are kept in {ledger.path}: raise synthesis.budget.{made.stopped}{less} and run again"
        )
    if not made.rows:
        raise CseflowError(
            f"no tuple came of {made.sentences:,} sentences and {told}: {_reasons(made)}; {_cures(made)}, and run again"
        )
    path = TUPLES / f"{pattern}.parquet"
    try:
        with written_whole(path) as aside:
            pq.write_table(pa.Table.from_pylist(made.rows, schema=SCHEMA), aside, compression="zstd")
        with written_whole(path.with_suffix(".json")) as aside:
            aside.write_text(json.dumps(report(maker.order, made, maker.backend), indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise DataError(
            f"{path} can't be written ({reason}); make room and run the same command again, which asks nothing anew: "
            f"all answers are kept in {ledger.path}"
        ) from None
    say = sys.stdout.write
    if count < wanted:
        say(f"no sentence is left to ask about for all {wanted:,}: {_cures(made)}\n")
    if count < (least := params.validation.tuples.min_rows):
        say(f"the stage validate@tuples will refuse fewer than validation.tuples.min_rows, {least:,}: lower it too\n")
    say(f"{path}: {count:,} tuples of {made.sentences:,} sentences; rejected: {_reasons(made)}\n")
    say(f"paid for in all: {told}\n")
    say(f"look at {path.with_suffix('.json')}; next: dvc repro, which makes and validates what is still missing\n")


def _dry_run(pattern: str, params: Params, ledger: Ledger, sample: int) -> None:
    settings, say = params.synthesis, sys.stdout.write
    texts = sample * len(ROLES[pattern])
    with Progress(total=texts, desc=f"{pattern}, dry run", unit=" texts", miniters=0, mininterval=1) as bar:
        maker = _maker(pattern, params, ledger, math.inf, sample, lambda maker: _show(bar, maker))
        begun = time.monotonic()
        made = maker.run()
        seconds = time.monotonic() - begun
    for row in made.rows:
        say("".join(f"{role + ':':14}{row[role]}\n" for role in ("anchor", *ROLES[pattern])) + "\n")
    say(f"of {made.sentences:,} sentences came {len(made.rows):,} tuples; rejected: {_reasons(made)}\n")
    if not made.rows:
        raise CseflowError("no answer passed the filters, so there is no telling what the whole would take")
    wanted = settings.tuples[pattern]  # type: ignore[index]
    times = wanted / len(made.rows)
    told = (
        f"{made.spent.requests * times:,.0f} requests, {made.spent.prompt_tokens * times:,.0f} + "
        f"{made.spent.completion_tokens * times:,.0f} tokens, {made.spent.money(settings.price) * times:,.2f} in money"
    )
    asked = maker.asked / made.spent.requests
    lasting = (
        f"{seconds * times / asked / 60:,.1f} minutes" if asked > 0.5 else "time unknown, for little was asked anew"
    )
    say(f"{wanted:,} tuples would take about {told}, {lasting}\n")
    say(f"what was asked is kept in {ledger.path} and counts: dvc repro goes on from it\n")


def _maker(
    pattern: str,
    params: Params,
    ledger: Ledger,
    wanted: float,
    sample: int | None,
    progress: Callable[[Maker], None],
    share: Share = WHOLE,
) -> Maker:
    settings = params.synthesis
    budget = part(settings.budget, settings.price, ledger.spent, share.of)
    params = params.model_copy(update={"synthesis": settings.model_copy(update={"budget": budget})})
    order, sentences, judge = prepare(pattern, params, wanted)
    return Maker(
        order,
        islice(sentences, share.number - 1, sample, share.of),
        backend_of(settings, ANSWER, SOURCES),
        ledger,
        judge,
        progress,
    )


def _show(bar: Progress, maker: Maker) -> None:
    """Texts of sentences that may still become tuples; more sentences are asked about than will."""
    bar.total = max(bar.total or 0, maker.texts)
    bar.update(maker.texts - bar.n)
    answers, price = maker.judged.total(), maker.order.settings.price
    rejected = sum(count for (_, passed), count in maker.judged.items() if not passed)
    bar.set_postfix(
        answers=answers,
        rejected=f"{rejected / max(answers, 1):.0%}",
        money=f"{maker.purse.spent.money(price):.2f}",
        refresh=False,
    )


def _told(maker: Maker) -> str:
    spent = maker.purse.spent
    return (
        f"{spent.requests:,} requests, {spent.prompt_tokens:,} + {spent.completion_tokens:,} tokens, "
        f"{spent.money(maker.order.settings.price):.2f} in money"
    )


def _cures(made: Made) -> str:
    """The keys to change, those of the most frequent reasons first."""
    reasons = sorted(made.rejected, key=lambda reason: -made.rejected[reason].count)
    keys = dict.fromkeys(f"synthesis.{key_of(reason)}" for reason in reasons[:3])
    widened = ", ".join([*keys, "synthesis.anchors"])
    return f"widen {widened}, raise synthesis.attempts, or take a larger corpus or model"


def _reasons(made: Made) -> str:
    reasons = sorted(made.rejected.items(), key=lambda item: (-item[1].count, item[0]))
    return ", ".join(f"{reason} {rejection.count}" for reason, rejection in reasons) or "none"


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    with exit_on_error():
        main()
