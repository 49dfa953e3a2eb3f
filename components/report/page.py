"""Everything of an experiment in one folder: leaderboard files, pictures, and a page that needs no other file."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from components.config.variants import Published
from components.errors import CseflowError
from components.evaluation.result import RunResult
from components.files import folder_written_whole
from components.markdown import to_html
from components.promotion.comparison import CONFIDENCE, RESAMPLES
from components.report import plots, published
from components.report.leaderboard import Leaderboard, leaderboard
from components.report.style import png


@dataclass(frozen=True)
class Picture:
    """A plot with what is said about it; it is left out where no run has a measure that starts with `needs`, or the
    score of its dev task, where that is `dev`."""

    draw: Callable[[Sequence[RunResult], str], Figure]
    needs: str
    title: str
    caption: str

    @property
    def name(self) -> str:
        """The name of its file, without ending."""
        return self.draw.__name__


PICTURES = (
    Picture(
        plots.sts_bars,
        "sts/",
        "Semantic textual similarity, task by task",
        "What each variant gains over the reference. The grey band is the spread of the reference's own seeds.",
    ),
    Picture(
        plots.transfer_bars,
        "transfer/",
        "Transfer tasks",
        "Logistic regression on frozen embeddings: what each variant gains over the reference.",
    ),
    Picture(
        plots.dev_curves,
        "dev",
        "The dev task during training",
        "The score by which the best checkpoint of a run, and the best seed of a variant, is picked.",
    ),
    Picture(
        plots.loss_curves,
        "train/loss",
        "Training loss",
        "Objectives differ in their terms and in how many negatives they have: compare shapes, not heights.",
    ),
    Picture(
        plots.fitting_difficulty,
        "rfd/",
        "Relative fitting difficulty",
        "Mean over training of the value on held-out training data minus that on the dev task (NGCSE). The paper's "
        "claim to check: the harder the training data are to fit, the better the STS score.",
    ),
    Picture(
        plots.geometry_paths,
        "geometry/",
        "Alignment and uniformity, and the paths taken in training",
        "Towards the lower left both improve (Wang & Isola 2020). Each dot is one evaluation, mean over seeds.",
    ),
    Picture(
        plots.length_bias_bars,
        "length_bias/",
        "Length bias",
        "How much worse an encoder does on pairs of unlike length than on pairs of like length (ESimCSE).",
    ),
    Picture(
        plots.pattern_histograms,
        "patterns",
        "Similarity patterns",
        "How alike positive and negative pairs are in words, and to an encoder. What dropout makes of one sentence "
        "shares all its words; pairs of an STS task don't.",
    ),
)


def write_report(
    results: Sequence[RunResult],
    reference: str,
    verdict_markdown: str | None,
    into: Path,
    provenance: Mapping[str, str],
    *,
    links: Mapping[str, str] | None = None,
    papers: Mapping[str, Published] | None = None,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> list[Path]:
    """Write index.html, leaderboard.txt, .md, .json, .csv, plots/*.png and the gate's verdict.md, whole or not at all.

    Args:
        results: of all variants and seeds.
        reference: the variant that the others are compared with.
        verdict_markdown: the gate's, from `components.promotion.verdict`; None where it was not asked.
        into: the folder, which is replaced.
        provenance: name → value, shown as they are: command, commit, md5 of each data set, ….
        links: id of a run → its page in MLflow's UI.
        papers: variant → what its paper reports.
        resamples, confidence, seed: of the bootstrap of each gain; those of the gate, so that both give one figure.

    Returns:
        Paths of the files, index.html first.

    Raises:
        CseflowError: there is no result.
    """
    if not results:
        raise CseflowError("no run has finished, so there is nothing to report; see the log for why, and run it again")
    board = leaderboard(results, reference, resamples=resamples, confidence=confidence, seed=seed)
    pictures = {picture: png(picture.draw(results, reference)) for picture in PICTURES if _has(results, picture.needs)}
    beside = published.markdown(published.beside_papers(results, papers or {}))
    texts = {
        "index.html": _page(results, board, beside, verdict_markdown, pictures, provenance, links or {}),
        "leaderboard.txt": board.text(),
        "leaderboard.md": board.markdown() + (f"\n{beside}" if beside else ""),
        "leaderboard.json": board.as_json(),
        "leaderboard.csv": board.as_csv(),
    }
    if verdict_markdown:
        texts["verdict.md"] = verdict_markdown
    with folder_written_whole(into) as folder:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        (folder / "plots").mkdir()
        for picture, data in pictures.items():
            (folder / "plots" / f"{picture.name}.png").write_bytes(data)
    return [into / name for name in (*texts, *(f"plots/{picture.name}.png" for picture in pictures))]


def _has(results: Sequence[RunResult], needs: str) -> bool:
    if needs == "patterns":
        return any(run.patterns for run in results)
    if needs == "dev":
        return any(f"sts/{run.dev}" in (*run.metrics, *run.curves) for run in results)
    return any(name.startswith(needs) for run in results for name in (*run.metrics, *run.curves))


def _page(
    results: Sequence[RunResult],
    board: Leaderboard,
    beside: str,
    verdict_markdown: str | None,
    pictures: Mapping[Picture, bytes],
    provenance: Mapping[str, str],
    links: Mapping[str, str],
) -> str:
    shown = [
        {
            "name": picture.name,
            "title": picture.title,
            "caption": picture.caption,
            "data": base64.b64encode(data).decode("ascii"),
        }
        for picture, data in pictures.items()
    ]
    environment = Environment(loader=PackageLoader("components.report", ""), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html.j2").render(
        board=board,
        runs=len(results),
        beside=to_html(beside) if beside else None,
        verdict=to_html(verdict_markdown) if verdict_markdown else None,
        pictures=shown,
        provenance=provenance,
        links={run_id: link for run_id, link in links.items() if link.startswith(("http://", "https://"))},
    )
