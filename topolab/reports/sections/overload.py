"""Overload: what becomes of more requests than can be served, and how long it takes to recover."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from statistics import median

from topolab.comparison import Comparison
from topolab.figures import work as work_of
from topolab.loads import Interval, Lap, OverloadRun, Step
from topolab.medians import of_repeats
from topolab.reports import units
from topolab.reports.looks import FATES, STROKES
from topolab.reports.plot import Plot, Point, Scale
from topolab.reports.sections.card import card, data_of, one_row
from topolab.reports.sections.doubts import Doubts
from topolab.reports.sections.shape import TOPOLOGY, Cell, Chart, Column, Key, Row, Section, Table, figure
from topolab.reports.sections.subjects import Subject, subjects
from topolab.reports.sheet import Sheet

Runs = Subject[OverloadRun]
Steps = tuple[Step, ...]
MEANINGS = {
    "answered": "A good answer within the step.",
    "late": "A good answer, after the step that asked for it had ended.",
    "error": "Answered with a status of 400 or more.",
    "refused": "Refused at once: nobody listens.",
    "reset": "The connection was reset without an answer.",
    "closed": "The connection was closed without an answer.",
    "timeout": "No whole answer within the time-out.",
    "silence": "Nothing at all by the end.",
}
NAMES = {"late": "answered late", "silence": "nothing"}
_TIMES = Column("Times the ceiling")
_DATA = (
    Column("Offered/s"), Column("Good/s"), Column("Excess, by kind", numeric=False), Column("p50"), Column("p99"),
    Column("Dead work"),
)  # fmt: skip
_COLUMNS = (
    Column("Ceiling/s"), Column("Good/s at most load"), Column("of the ceiling"), Column("Excess there", numeric=False),
    Column("p99 of the served there"), Column("Dead work"), Column("Recovered after"),
)  # fmt: skip


def section(comparison: Comparison, doubts: Doubts) -> Section | None:
    found = subjects(comparison, OverloadRun, lambda run: work_of(run.steps[0].lap.offered.work) if run.steps else "")
    if not found:
        return None
    every = [step for subject in found for run in subject.runs for step in run.steps]
    served = [step.lap.answered for step in every if step.lap.answered]
    latency = Scale.over([value for one in served for value in (one.p50_s, one.p99_s)], log=True)
    times = sorted({step.times_ceiling for step in every})
    kinds = dict.fromkeys(kind for step in every for kind in _ends(step))
    return Section(
        name="overload",
        short="Overload",
        title="Offered more than the ceiling",
        how="Each column is one step of a staircase, as a multiple of the predicted ceiling; its cap is what was "
        "offered, and the colours are what became of it. Under it, how long those waited that got a good answer. "
        "Diamonds: views that ran for clients that had gone.",
        why="A server that fails well keeps its goodput, refuses the excess at once and cheaply, and serves the rest "
        "as fast as before. A server that fails badly lets everybody wait until nobody's answer is of use, works for "
        "clients that have gone, and goes on doing so after the load has ended.",
        key=tuple(
            Key(FATES[kind], kind.replace("late", "answered late"), MEANINGS[kind]) for kind in FATES if kind in kinds
        ),
        charts=tuple(_chart(subject, doubts, times, latency) for subject in found),
        table=Table(
            TOPOLOGY, _COLUMNS, tuple(one_row(subject, _cells(subject), doubts.of(subject.runs)) for subject in found)
        ),
    )


def _about(run: OverloadRun) -> str:
    return work_of(run.steps[0].lap.offered.work) if run.steps else ""


def goodput(steps: Steps) -> Interval | None:
    return units.spread(step.lap.achieved for step in steps)


def staircase(subject: Runs) -> list[Steps]:
    return subject.aligned(lambda run: run.steps)


def recovery(subject: Runs) -> Interval | None:
    """Of the repeats that recovered while they were watched; None where none did."""
    return units.spread(run.recovery_s for run in subject.runs)


def recovered(subject: Runs) -> Cell:
    never = sum(run.recovery_s is None for run in subject.runs)
    found, watched = recovery(subject), subject.runs[0].watched_s
    if not found:
        return Cell(f"not within {watched:g} s", watched + 1)
    cell = figure(found, units.duration)
    return replace(cell, more=f"{never} of {len(subject.runs)} not within {watched:g} s") if never else cell


def _recovery(subject: Runs) -> str:
    cell = recovered(subject)
    if not recovery(subject):
        return f"Recovered {cell.text}."
    return f"Recovered {cell.text} after the load had ended{f' ({cell.more})' if cell.more else ''}."


def _ends(step: Step) -> dict[str, float]:
    """Requests per second by what became of them; they add up to what was due."""
    lap = step.lap
    seconds = lap.offered.seconds or 1.0
    found: dict[str, float] = {}
    for fated in lap.fates:
        found[fated.fate] = found.get(fated.fate, 0.0) + fated.count / seconds
    late = found.get("answered", 0.0) - lap.achieved
    if late > 0.01 * lap.requests / seconds:
        found |= {"answered": lap.achieved, "late": late}
    return {kind: found[kind] for kind in FATES if found.get(kind)}


def _median_ends(steps: Steps) -> dict[str, float]:
    ends = [_ends(step) for step in steps]
    kinds = [kind for kind in FATES if any(kind in one for one in ends)]
    medians = {kind: units.spread(one.get(kind, 0.0) for one in ends) for kind in kinds}
    return {kind: interval.median for kind, interval in medians.items() if interval}


def _excess(steps: Steps) -> str:
    """`timeout 120/s, error 503 30/s`, medians of the repeats; statuses are told apart."""
    every = [_kinds(step.lap) for step in steps]
    kinds = dict.fromkeys(kind for one in every for kind in one)
    medians = {kind: median(one.get(kind, 0.0) for one in every) for kind in kinds}
    return ", ".join(f"{kind} {units.plain(rate)}/s" for kind, rate in medians.items()) or "none"


def _kinds(lap: Lap) -> dict[str, float]:
    """Requests per second that had no good answer, by `timeout`, `error 503`."""
    found: dict[str, float] = {}
    for fated in lap.fates:
        if fated.fate != "answered":
            kind = f"{fated.fate} {fated.status}" if fated.status else fated.fate
            found[kind] = found.get(kind, 0.0) + fated.count / (lap.offered.seconds or 1.0)
    return found


def _served(steps: Steps, which: str) -> Interval | None:
    return units.spread(getattr(step.lap.answered, which) if step.lap.answered else None for step in steps)


def _ceiling(subject: Runs) -> float:
    found = units.spread(run.ceiling.rate for run in subject.runs)
    return found.median if found else 0.0


def _dead(subject: Runs) -> Interval | None:
    """Views of a whole staircase that ran for clients that had gone."""
    found = [[step.dead for step in run.steps if step.dead is not None] for run in subject.runs]
    return units.spread(sum(dead) if dead else None for dead in found)


def _cells(subject: Runs) -> tuple[Cell, ...]:
    every, ceiling = staircase(subject), _ceiling(subject)
    last = every[-1] if every else ()
    good = goodput(last)
    part = good.median / ceiling if good and ceiling else None
    return (
        Cell(units.plain(ceiling), ceiling), figure(good), Cell("-" if part is None else units.share(part), part),
        Cell(_excess(last) if last else "-"), figure(_served(last, "p99_s"), units.duration),
        figure(_dead(subject), units.count), recovered(subject),
    )  # fmt: skip


def _chart(subject: Runs, doubts: Doubts, times: list[float], latency: Scale) -> Chart:
    rows = tuple(
        Row(
            Cell(f"{steps[0].times_ceiling:g}", steps[0].times_ceiling),
            (
                figure(units.spread(step.lap.requests / (step.lap.offered.seconds or 1.0) for step in steps)),
                figure(goodput(steps)), Cell(_excess(steps)), figure(_served(steps, "p50_s"), units.duration),
                figure(_served(steps, "p99_s"), units.duration),
                figure(units.spread(step.dead for step in steps), units.count),
            ),
            doubts.of_laps(subject.runs, [step.lap for step in steps]),
        )
        for steps in staircase(subject)
    )  # fmt: skip
    dead = _dead(subject)
    told = [_recovery(subject)]
    told += [f"{units.told(dead, units.count)} views ran for clients that had gone."] if dead and dead.median else []
    return card(
        "overload", subject, doubts.of(subject.runs), partial(_draw, subject, times, latency),
        data_of(subject, _TIMES, _DATA, rows), title="offered more than the ceiling", told=told,
    )  # fmt: skip


def _draw(subject: Runs, times: list[float], latency: Scale, sheet: Sheet) -> None:
    """Columns above, latencies under them; both over the same steps, which stand at equal distances."""
    ceiling, width = _ceiling(subject) or 1.0, min(200 / len(times), 34)
    x, y = Scale(-0.6, len(times) - 0.4), Scale(0, max(times) * 1.04)
    labels = [(float(number), f"{at:g}x") for number, at in enumerate(times)]
    above = Plot(sheet, 212, x, y)
    above.titles("", "requests/s, times the ceiling")
    above.ticks(labels, [(float(at), f"{at}") for at in range(int(max(times)) + 1)])
    dead = []
    for steps in staircase(subject):
        at = times.index(steps[0].times_ceiling)
        parts = [
            (rate / ceiling, FATES[kind], f"{steps[0].times_ceiling:g} times the ceiling: {kind} {units.plain(rate)}/s")
            for kind, rate in _median_ends(steps).items()
        ]
        above.column(at, width, parts)
        above.cap(at, width, steps[0].times_ceiling)
        ran = units.spread(
            None if step.dead is None else step.dead / (step.lap.offered.seconds or 1.0) / ceiling for step in steps
        )
        if ran and ran.median:
            dead.append(Point(at, ran.median, units.bounds(ran)))
    above.level(1.0, f"ceiling {units.plain(ceiling)}/s")
    above.curve(dead, STROKES["dead"])
    above.finish()
    sheet.y -= 14
    below = Plot(sheet, 168, x, latency)
    below.titles("offered, times the ceiling", "latency of the served")
    below.ticks(labels, [(at, units.tick(at)) for at in latency.ticks(5)])
    for name, which in (("p50", "p50_s"), ("p99", "p99_s")):
        points = []
        for steps in staircase(subject):
            if value := _served(steps, which):
                doubted = of_repeats(step.lap.verdict for step in steps) == "SUSPECT"
                at = times.index(steps[0].times_ceiling)
                points.append(Point(at, value.median, units.bounds(value), doubted))
        below.curve(points, STROKES[name], name)
    below.finish()
