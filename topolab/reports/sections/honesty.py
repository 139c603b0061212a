"""The instrument's own honesty under load: the worst of all laps of a run."""

from __future__ import annotations

from topolab.comparison import Comparison
from topolab.loads import Calibration, Lap, LoadRun
from topolab.reports import units, words
from topolab.reports.sections.doubts import Doubts, laps
from topolab.reports.sections.shape import TOPOLOGY, Cell, Column, Group, Row, Section, Table, count

_COLUMNS = (
    Column("Experiment", numeric=False), Column("Late, p50"), Column("Late, p99"), Column("Late, most"),
    Column("Own core busy"), Column("Others' CPU s"), Column("Steal, s"), Column("Responses"),
    Column("Connections opened"), Column("CPUs of server, of instrument", numeric=False),
)  # fmt: skip


def section(comparison: Comparison, doubts: Doubts) -> Section | None:
    runs = [(run, [lap for _name, lap in laps(run)]) for run in comparison.of(LoadRun)]
    groups = tuple(
        Group(run.topology, (Row(Cell(words.label(run, comparison)), _cells(run, own), doubts.of([run])),))
        for run, own in runs
        if own
    )
    if not groups:
        return None
    calibrations = dict.fromkeys(run.calibration for run, _own in runs if run.calibration)
    return Section(
        name="instrument",
        short="Instrument",
        title="The instrument under load",
        how=" ".join(_calibrated(it) for it in calibrations),
        why="The worst of all laps of a run. Late is how long after it was due a request was sent; a run whose "
        "instrument was late, short of CPU or near what it can do at all is SUSPECT, and so is one during which the "
        "machine was busy with something else.",
        table=Table(TOPOLOGY, _COLUMNS, groups),
    )


def _cells(run: LoadRun, own: list[Lap]) -> tuple[Cell, ...]:
    seen = [lap.instrument for lap in own]
    timed = [lap.instrument for lap in own if lap.offered.loop == "open"]  # the closed loop has nothing to be late for
    late = [
        [it.lateness_p50_s for it in timed], [it.lateness_p99_s for it in timed], [it.lateness_max_s for it in timed],
    ]  # fmt: skip
    busy = max(it.cpu_share for it in seen)
    pins = f"{_list(run.pins.server)}; {_list(run.pins.instrument)}" if run.pins else "shared"
    return (
        Cell(run.experiment), *(count(max(values), units.duration) if values else Cell("-") for values in late),
        Cell(units.share(busy), busy),
        count(max(lap.machine.others_cpu_s for lap in own), units.plain),
        count(max(lap.machine.steal_s for lap in own), units.plain), count(sum(it.responses for it in seen)),
        count(sum(it.connections_opened for it in seen)), Cell(pins),
    )  # fmt: skip


def _list(cpus: tuple[int, ...]) -> str:
    return ", ".join(map(str, cpus))


def _calibrated(it: Calibration) -> str:
    return (
        f"Against a server that answers at once, the instrument reached {units.plain(it.keepalive_rate)}/s with "
        f"connections kept, {units.plain(it.reconnect_rate)}/s with a connection for each request, and sent on time "
        f"up to {units.plain(it.open_rate)}/s."
    )
