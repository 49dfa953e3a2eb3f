"""Names beside points, moved apart until none covers another."""

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox
from numpy.typing import ArrayLike, NDArray

# Where a name may go, in points from its mark; to the right before elsewhere.
_RADII = (9, 18, 30, 44, 60, 80, 105)
_ANGLES = np.deg2rad([0, 180, 30, -30, 150, -150, 60, -60, 120, -120, 90, -90])
_ON_LINE = 15.0  # cost of a name per 5 pixels of line that it covers, against 1 per square pixel of another name


def label_points(
    ax: Axes, points: ArrayLike, names: Sequence[str], colours: Sequence[str], lines: Sequence[ArrayLike] = ()
) -> None:
    """Write `names` near `points` (n, 2; data units) of `ax`; a thin line joins a name that had to move away.

    Greedy: each name takes the place that covers least of the points and the names before it, then least of `lines`
    ((steps, 2) each), then is nearest. To be called when limits are settled and all else is drawn.
    """
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    scale = figure.dpi / 72
    marks = ax.transData.transform(np.asarray(points, np.float64))
    drawn = np.concatenate([np.empty((0, 2)), *(_dense(ax.transData.transform(np.asarray(line))) for line in lines)])
    taken = [_box(x, y, 9 * scale, 9 * scale) for x, y in marks]
    frame = ax.get_window_extent()
    for point, mark, name, colour in zip(np.asarray(points, np.float64), marks, names, colours, strict=True):
        text = ax.annotate(
            name,
            (point[0], point[1]),
            xytext=(0, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=colour,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )
        text.set_in_layout(False)
        size = text.get_window_extent()
        best, least = (0.0, 0.0, 0), np.inf
        for radius, angle in product(_RADII, _ANGLES):
            dx, dy = radius * np.cos(angle), radius * np.sin(angle)
            side = 0 if abs(dx) < 1 else int(np.sign(dx))
            box = _box(mark[0] + dx * scale + side * size.width / 2, mark[1] + dy * scale, size.width, size.height)
            outside = box.width * box.height - _overlap(box, frame)
            inside = np.all((drawn > [box.x0, box.y0]) & (drawn < [box.x1, box.y1]), axis=1).sum()
            cost = sum(_overlap(box, other) for other in taken) + 5 * outside + _ON_LINE * inside + radius
            if cost < least:
                best, best_box, least = (dx, dy, side), box, cost
        taken.append(best_box)
        dx, dy, side = best
        text.set_position((dx, dy))
        text.set_horizontalalignment("left" if side > 0 else "right" if side < 0 else "center")
        if np.hypot(dx, dy) > _RADII[0] + 1:
            leader = {"arrowstyle": "-", "color": colour, "lw": 0.6, "alpha": 0.6, "shrinkA": 1, "shrinkB": 3}
            ax.annotate("", point, (dx, dy), textcoords="offset points", arrowprops=leader).set_in_layout(False)


def _dense(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """The line with a point about every 5 pixels."""
    pieces = [
        np.linspace(start, end, max(int(np.hypot(*(end - start)) // 5), 1), endpoint=False)
        for start, end in pairwise(line)
    ]
    return np.concatenate([*pieces, line[-1:]])


def _box(x: float, y: float, width: float, height: float) -> Bbox:
    return Bbox.from_bounds(x - width / 2, y - height / 2, width, height)


def _overlap(one: Bbox, other: Bbox) -> float:
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(width, 0) * max(height, 0)
