"""Draw the choices as an HTML page: cost against time, and the nodes of a few runs; no script, no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from importlib.resources import files
from math import log10

import numpy as np

from batch_scoring.jobs.costs import words
from batch_scoring.jobs.costs.choices import Choice, Policy, Schedule, short_list
from batch_scoring.jobs.costs.settings import CostSettings

_WIDTH, _HEIGHT = 720, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 22, 46
_COLOURS = {Policy.FROM_ZERO: "zero", Policy.KEEP_WARM: "warm", Policy.FIXED: "fixed"}
_RADII = {"best": 11, "own": 15}  # of the rings; both show where the configured cluster is the best
_RUNS_SHOWN = 2
_STEPS = 480  # of a curve of nodes
_OWN_RING = (
    ", the dashed one around the cluster of your settings, at the upper edge where it takes longer still"
)
_OWN_CURVE = " and the cluster of your settings"
# Steps of an axis of time, seconds.
_ROUND = (1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


def draw_page(
    choices: Sequence[Choice],
    schedule: Schedule,
    settings: CostSettings,
    source: str,
    verdict: Sequence[str],
    configured: Choice | None = None,
) -> str:
    """Draw the whole page as HTML.

    Parameters
    ----------
    choices : sequence of Choice
        Best first.
    schedule : Schedule
    settings : CostSettings
    source : str
        Where the durations come from.
    verdict : sequence of str
        Sentences at the top.
    configured : Choice or None
        The cluster of the settings, where they describe one.
    """
    price = "Spot" if settings.low_priority else "dedicated"
    own = [configured] if configured else []
    curves = "".join(_curve(choice, schedule) for choice in [*cheapest_of_each(choices), *own])
    sentences = "".join(f'<p class="verdict">{escape(sentence)}</p>\n' for sentence in verdict)
    style = files("batch_scoring.jobs.costs").joinpath("page.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What the schedule costs</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>What the schedule costs</h1>
<p class="quiet">{escape(words.summary(schedule, source))}. Prices of {price} nodes.</p>
{sentences}</header>
<section>
<h2>Cost and time</h2>
<p class="quiet">Each mark is a cluster, simulated for a day. Further left is cheaper, lower is faster; marks
above the line miss the deadline. The ring is around the best{_OWN_RING if own else ""}. Point at a mark to
read it.</p>
{_legend([*choices, *own])}
{_scatter([*choices, *own], schedule, settings.currency)}
</section>
<section>
<h2>Nodes over {_RUNS_SHOWN} runs</h2>
<p class="quiet">The best cluster of each policy{_OWN_CURVE if own else ""}. The pale area is the
capacity that is paid for, the full one the running jobs.</p>
<div class="curves">{curves}</div>
</section>
<section>
<h2>The best of each kind</h2>
{_table([*short_list(choices), *own], settings.currency)}
</section>
</body>
</html>
"""


def cheapest_of_each(choices: Sequence[Choice]) -> list[Choice]:
    """Keep the best choice of each policy, in the order of the policies."""
    found = {policy: [choice for choice in choices if choice.policy is policy] for policy in Policy}
    return [of_policy[0] for of_policy in found.values() if of_policy]


def _scatter(choices: Sequence[Choice], schedule: Schedule, currency: str) -> str:
    costs = [choice.cost_per_month for choice in choices]
    low, high = _decades(min(costs), max(costs))
    # A configured cluster that takes hours longer would leave no room to distinguish the others.
    spans = [_span(one) for one in choices if not one.is_configured]
    top = 1.1 * max(schedule.deadline if choices[0].is_in_time else 0.0, *spans)
    shapes = {size: place for place, size in enumerate(dict.fromkeys(one.size.name for one in choices))}

    def x(cost: float) -> float:
        share = (log10(max(cost, 10**low)) - low) / (high - low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(seconds: float) -> float:
        return _HEIGHT - _BOTTOM - seconds / top * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        _ticks_y(top, y),
        *(_tick_x(10.0**power, x(10.0**power)) for power in range(low, high + 1)),
        f'<text class="axis" x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">'
        f"{escape(currency)} a month, logarithmic</text>",
        f'<text class="axis" x="{_LEFT}" y="12">slowest run</text>',
    ]
    if schedule.deadline <= top:
        line = y(schedule.deadline)
        parts.append(
            f'<line class="deadline" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{line:.1f}" y2="{line:.1f}"/>'
            f'<text class="deadline-text" x="{_WIDTH - _RIGHT}" y="{line - 5:.1f}" text-anchor="end">'
            f"deadline {words.duration_text(schedule.deadline)}</text>"
        )
    # The best is drawn last, on top of equally cheap ones.
    for choice in reversed(choices):
        place = x(choice.cost_per_month), y(min(_span(choice), top))
        ring = "best" if choice is choices[0] else "own" if choice.is_configured else None
        parts.append(_mark(choice, *place, shapes[choice.size.name], ring, currency))
    label = "Monthly cost and time of the slowest run of every simulated cluster"
    return _svg(_WIDTH, _HEIGHT, label, "".join(parts))


def _span(choice: Choice) -> float:
    """Return the seconds to draw; for a cluster that falls behind, those of the day's first run."""
    return float(choice.day.makespans[0] if not choice.day.keeps_up else choice.day.makespan)


def _mark(choice: Choice, x: float, y: float, shape: int, ring: str | None, currency: str) -> str:
    text = (
        f"{words.name_of(choice)}, {words.nodes_of(choice)} nodes: {choice.cost_per_month:,.2f} {currency} "
        f"a month, slowest run {words.duration_text(choice.day.makespan)}, {choice.day.idle_share:.0%} idle"
    )
    circle = f'<circle class="{ring}" cx="{x:.1f}" cy="{y:.1f}" r="{_RADII[ring]}"/>' if ring else ""
    late = "" if choice.is_in_time else " late"
    return (
        f'<g class="mark {_COLOURS[choice.policy]}{late}"><title>{escape(text)}</title>'
        f"{circle}{_shape(shape, x, y)}</g>"
    )


def _shape(shape: int, x: float, y: float) -> str:
    """Draw a circle, square, diamond or triangle, each large enough to show behind the one before."""
    outlines: dict[int, list[tuple[float, float]]] = {
        1: [(-6.5, -6.5), (6.5, -6.5), (6.5, 6.5), (-6.5, 6.5)],
        2: [(0, -10), (10, 0), (0, 10), (-10, 0)],
        3: [(0, -10), (10, 8), (-10, 8)],
    }
    corners = outlines.get(shape % 4)
    if corners is None:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>'
    points = " ".join(f"{x + right:.1f},{y + down:.1f}" for right, down in corners)
    return f'<polygon points="{points}"/>'


def _legend(choices: Sequence[Choice]) -> str:
    policies = "".join(
        f'<span><svg class="key" viewBox="-3 -3 20 20" aria-hidden="true"><g class="mark {_COLOURS[policy]}">'
        f"{_shape(0, 7, 7)}</g></svg>{policy}</span>"
        for policy in Policy
    )
    sizes = "".join(
        f'<span><svg class="key" viewBox="-3 -3 20 20" aria-hidden="true"><g class="mark plain">'
        f"{_shape(place, 7, 7)}</g></svg>{escape(size)}</span>"
        for place, size in enumerate(dict.fromkeys(choice.size.name for choice in choices))
    )
    return f'<p class="legend">{policies}<i></i>{sizes}</p>'


def _curve(choice: Choice, schedule: Schedule) -> str:
    """Draw the paid and used capacity of a cluster over the first runs of its day."""
    width, height, left, bottom = 720, 130, 64, 24
    length = min(_RUNS_SHOWN * schedule.every, choice.day.end - choice.day.begin)
    times = np.linspace(0.0, length, _STEPS + 1)
    at = choice.day.begin + times
    paid = choice.day.simulation.paid_nodes(at) * choice.cluster.tasks_per_node
    busy = choice.day.simulation.running_jobs(at)
    most = max(1, int(paid.max()))

    def x(seconds: float) -> float:
        return left + seconds / length * (width - left - 12)

    def y(room: float) -> float:
        return height - bottom - room / most * (height - bottom - 12)

    def area(counts: np.ndarray) -> str:
        steps = (f"H{x(time):.1f}V{y(count):.1f}" for time, count in zip(times, counts, strict=True))
        return f"M{x(0):.1f},{y(0):.1f}{''.join(steps)}V{y(0):.1f}Z"

    ticks = "".join(
        f'<text class="axis" x="{x(seconds):.1f}" y="{height - 6}" text-anchor="middle">'
        f"{words.duration_text(seconds) if seconds else '0'}</text>"
        for seconds in np.linspace(0.0, length, 5)
    )
    label = f"{words.name_of(choice)}, {words.nodes_of(choice)} nodes: paid and used capacity"
    drawn = (
        f'<text class="axis" x="{left - 8}" y="{y(most) + 4:.1f}" text-anchor="end">{most}</text>'
        f'<text class="axis" x="{left - 8}" y="{y(0) + 4:.1f}" text-anchor="end">0</text>'
        f'<line class="grid" x1="{left}" x2="{width - 12}" y1="{y(0):.1f}" y2="{y(0):.1f}"/>'
        f'<path class="paid {_COLOURS[choice.policy]}" d="{area(paid)}"/>'
        f'<path class="busy {_COLOURS[choice.policy]}" d="{area(busy)}"/>{ticks}'
    )
    cost = f"{choice.cost_per_day:,.2f} a day, {choice.day.idle_share:.0%} idle"
    return (
        f"<figure><figcaption><b>{escape(words.name_of(choice))}</b>, {words.nodes_of(choice)} nodes: {cost}"
        f"</figcaption>{_svg(width, height, label, drawn)}</figure>"
    )


def _table(choices: Sequence[Choice], currency: str) -> str:
    rows = "".join(
        "<tr>"
        f"<th scope='row'>{escape(words.name_of(choice))}</th><td>{words.nodes_of(choice)}</td>"
        f"<td>{choice.cost_per_day:,.2f}</td><td>{choice.cost_per_month:,.2f}</td>"
        f"<td>{words.duration_text(choice.day.makespan)}</td><td>{choice.day.idle_share:.0%}</td>"
        f"<td>{'yes' if choice.is_in_time else 'no'}</td></tr>"
        for choice in choices
    )
    return (
        f"<table><thead><tr><th>cluster</th><th>nodes</th><th>{escape(currency)} a day</th>"
        "<th>a month</th><th>slowest run</th><th>idle</th><th>in time</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _decades(low: float, high: float) -> tuple[int, int]:
    """Return the powers of ten around these costs; costs of zero are drawn at the left."""
    if high <= 0:
        return 0, 1
    first = int(np.floor(log10(low))) if low > 0 else int(np.floor(log10(high))) - 2
    return first, max(int(np.ceil(log10(high))), first + 1)


def _tick_x(cost: float, x: float) -> str:
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
        f'<text class="axis" x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{cost:,g}</text>'
    )


def _ticks_y(top: float, y: Callable[[float], float]) -> str:
    step = next((one for one in _ROUND if top / one <= 6), top / 5)
    return "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(at):.1f}" y2="{y(at):.1f}"/>'
        f'<text class="axis" x="{_LEFT - 8}" y="{y(at) + 4:.1f}" text-anchor="end">'
        f"{words.duration_text(at) if at else '0'}</text>"
        for at in np.arange(0.0, top, step)
    )


def _svg(width: int, height: int, label: str, drawn: str) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{drawn}</svg>'
