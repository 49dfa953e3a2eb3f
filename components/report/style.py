"""How a variant looks in every plot, and how text is set, so that the plots read as one family."""

import functools
import io
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, ParamSpec

import matplotlib as mpl
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from components.evaluation.result import RunResult
from components.report.summary import by_variant

WIDTH = 10.0  # inches; shown at about 100 pixels an inch, which makes the sizes below those on the page
DPI = 160

# Okabe & Ito's palette without yellow, which is too pale on white, and with black kept for the reference.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
GOOD, BAD, MUTED, PALE = "#0072B2", "#D55E00", "#8A8A8A", "#D8D8D8"

RC: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "axes.edgecolor": "#707070",
    "legend.frameon": False,
    "figure.titlesize": 12,
    "axes.formatter.useoffset": False,
}


class Look(NamedTuple):
    """Colour and marker; six colours and seven markers give 42 pairs, and neighbours differ in both."""

    colour: str
    marker: str

    @property
    def ink(self) -> str:
        """The colour darkened, for text on white."""
        red, green, blue = to_rgb(self.colour)
        return to_hex((0.7 * red, 0.7 * green, 0.7 * blue))


def looks(results: Iterable[RunResult], reference: str) -> dict[str, Look]:
    """One look per variant, by its place in `results`; the reference is always a black star."""
    others = [variant for variant in by_variant(results) if variant != reference]
    chosen = {v: Look(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, v in enumerate(others)}
    return {reference: Look("black", "*"), **chosen}


P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw under `RC`, without touching the settings of the process (a notebook's, say)."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(RC):
            return draw(*args, **kwargs)

    return drawn


def png(figure: Figure) -> bytes:
    """The figure as a picture for a page."""
    out = io.BytesIO()
    figure.savefig(out, dpi=DPI, format="png")
    return out.getvalue()
