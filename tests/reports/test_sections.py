"""The sections of the page: what their tables and charts say of runs under load."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from tests.reports.synthetic import IO, SERVERS, changes, lap, latency_of, runs_of
from topolab.comparison import Comparison
from topolab.errors import LabError
from topolab.loads import Fated, Lap, LatencyRun, MemoryRun, Offered, OverloadRun, Step, ThroughputRun, Work
from topolab.reports.sections import changes as changed
from topolab.reports.sections import cost, distribution, latency, memory, overload, throughput
from topolab.reports.sections.contents import at_a_glance, sections
from topolab.reports.sections.doubts import Doubts
from topolab.reports.sections.shape import Chart, Section, Table
from topolab.results import Finding

GTHREAD = SERVERS[1]
SVG = "{http://www.w3.org/2000/svg}"


def made(module: object, comparison: Comparison) -> Section:
    section: Section | None = module.section(comparison, Doubts(comparison))  # type: ignore[attr-defined]
    assert section
    return section


def cells(table: Table | None, row: int = 0) -> dict[str, str]:
    """A row by the names of its columns."""
    assert table
    line = [line for group in table.groups for line in group.rows][row]
    return {table.head.name: line.head.text} | {
        column.name: cell.text for column, cell in zip(table.columns, line.cells, strict=True)
    }


def texts(chart: Chart) -> str:
    return " ".join(element.text or "" for element in ElementTree.fromstring(chart.drawing).iter(f"{SVG}text"))


def one(kind: str, *, repeat: int = 1) -> Comparison:
    return Comparison((), others=tuple(runs_of(GTHREAD, kinds=(kind,), repeat=repeat)))


def several(kind: str) -> Comparison:
    return Comparison((), others=tuple(run for repeat in (1, 2, 3) for run in one(kind, repeat=repeat).others))


def test_throughput_stands_beside_its_ceiling() -> None:
    """Each work's rate with what it is of the predicted ceiling, and what binds; the same in the drawing."""
    comparison = one("throughput")
    run = comparison.of(ThroughputRun)[0]
    section = made(throughput, comparison)
    plateau = run.plateaus[1]
    line = cells(section.table, 1)
    assert line["Work"] == "io 50 ms"
    assert line["Requests/s"] == f"{plateau.lap.achieved:.0f}"
    assert line["Ceiling"] == f"{plateau.ceiling.rate:.0f}"
    assert line["of it"] == f"{plateau.lap.achieved / plateau.ceiling.rate:.0%}".replace("%", " %")
    assert line["Bound by"] == "slots"
    assert f"io 50 ms: {plateau.lap.achieved:.0f}/s" in texts(section.charts[0])
    assert f"of {plateau.ceiling.rate:.0f}/s at most, by slots" in texts(section.charts[0])


def test_repeats_that_are_bound_by_different_things_say_so() -> None:
    """All that bound a repeat, the most frequent first, in the table and in the drawing; clients are their median."""
    runs = several("throughput").of(ThroughputRun)
    bounds, clients = ("CPUs", "slots", "slots"), (90, 16, 20)
    plateaus = [run.plateaus[1] for run in runs]
    changed = [
        replace(
            plateau,
            ceiling=replace(plateau.ceiling, bound_by=bound_by),
            lap=replace(plateau.lap, offered=replace(plateau.lap.offered, connections=connections)),
        )
        for plateau, bound_by, connections in zip(plateaus, bounds, clients, strict=True)
    ]
    others = tuple(replace(run, plateaus=(plateau,)) for run, plateau in zip(runs, changed, strict=True))
    section = made(throughput, Comparison((), others=others))
    line = cells(section.table)
    assert (line["Bound by"], line["Clients"]) == ("slots or CPUs", "20")
    assert "at most, by slots or CPUs" in texts(section.charts[0])
    assert [cell.more for cell in section.table.groups[0].rows[0].cells if cell.text == "20"] == ["16 to 90"]  # type: ignore[union-attr]


def test_cost_is_told_of_server_and_instrument() -> None:
    """CPU seconds for 1,000 requests of both, and the server's of one; what is not known is no zero."""
    comparison = one("throughput")
    run = comparison.of(ThroughputRun)[0]
    first = run.plateaus[0]
    line = cells(made(cost, comparison).table)
    assert line["Server, CPU s"] == f"{first.server_cpu_s:.3f}"
    assert line["Instrument, CPU s"] == f"{first.instrument_cpu_s:.3f}"
    assert line["Server, a request"] == f"{(first.server_cpu_s or 0) * 1000:.0f} us"
    unknown = replace(run, plateaus=(replace(first, server_cpu_s=None),))
    section = made(cost, Comparison((), others=(unknown,)))
    assert cells(section.table)["Server, CPU s"] == "-"
    assert "server: not known" in texts(section.charts[0])


def test_latency_is_told_at_every_rate() -> None:
    """Offered beside achieved, and every percentile; knee and ceiling are marked in the drawing."""
    comparison = one("latency")
    run = comparison.of(LatencyRun)[0]
    section = made(latency, comparison)
    chart = section.charts[0]
    assert len(chart.data.groups[0].rows) == len(run.points)
    last = cells(chart.data, -1)
    seen = run.points[-1].answered
    assert seen
    assert last["Offered/s"] == f"{run.points[-1].offered.rate:.0f}"
    assert last["Achieved/s"] == f"{run.points[-1].achieved:.0f}"
    assert last["p99"] == f"{seen.p99_s:.2f} s"
    assert chart.told == (f"Knee at {run.knee:.0f}/s.",)
    for said in (f"knee {run.knee:.0f}/s", f"ceiling {run.ceiling.rate:.0f}/s", "p50", "p90", "p99"):
        assert said in texts(chart)


def test_repeats_are_one_chart_with_intervals() -> None:
    """Three runs of a topology are their median and its interval; of a single one there is none."""
    section = made(latency, several("latency"))
    assert len(section.charts) == 1
    assert section.charts[0].about == "io 50 ms, median of 3 repeats"
    row = section.charts[0].data.groups[0].rows[0]
    assert " to " in row.cells[3].more
    assert made(latency, one("latency")).charts[0].data.groups[0].rows[0].cells[3].more == ""


def test_other_work_is_another_chart() -> None:
    """Latencies of two kinds of work are never put together."""
    run = one("latency").of(LatencyRun)[0]
    greeting = [replace(point, offered=replace(point.offered, work=Work())) for point in run.points]
    section = made(latency, Comparison((), others=(run, replace(run, points=tuple(greeting)))))
    assert [chart.about for chart in section.charts] == ["io 50 ms", "greeting"]


def test_a_run_without_a_knee_says_so() -> None:
    """No line is drawn for a knee that was not found."""
    run = replace(one("latency").of(LatencyRun)[0], knee=None)
    chart = made(latency, Comparison((), others=(run,))).charts[0]
    assert "knee" not in texts(chart)
    assert chart.told == ("No knee: the p99 of no rate stayed below the line.",)


def test_a_percentile_needs_ten_answers_beyond_it() -> None:
    """The distribution of 400 answers ends at 95 %; that of three such laps, put together, at 99 %."""
    point = one("latency").of(LatencyRun)[0].points[0]
    full = replace(point, latencies=(latency_of([0.001 * number for number in range(1, 401)]),))
    assert max(distribution.percentiles((full,))) == 95.0
    together = distribution.percentiles((full, full, full))
    assert max(together) == 99.0
    assert together[50.0] == pytest.approx(0.2, rel=0.01)
    assert together[99.0] == pytest.approx(0.396, rel=0.01)


def test_the_ends_of_an_overload_add_up() -> None:
    """What was offered is answered, or ends in one of the kinds; what is answered after the step stands apart."""
    offered = Offered(IO, "open", 5.0, rate=100)
    seen = lap(offered, 60.0, 0.05, random.Random(1), excess="refused")
    step = Step(2.0, replace(seen, achieved=40.0), 7)
    run = replace(one("overload").of(OverloadRun)[0], steps=(step,))
    section = made(overload, Comparison((), others=(run,)))
    assert [key.name for key in section.key] == ["answered", "answered late", "refused"]
    names = [element.get("data-place") for element in ElementTree.fromstring(section.charts[0].drawing).iter()]
    assert [name for name in names if name] == [
        "2 times the ceiling: answered 40.0/s",
        "2 times the ceiling: late 20.0/s",
        "2 times the ceiling: refused 40.0/s",
    ]
    assert cells(section.charts[0].data)["Excess, by kind"] == "refused 40.0/s"
    assert section.charts[0].told[1] == "7 views ran for clients that had gone."


def test_the_excess_of_repeats_is_their_median() -> None:
    """Of each kind, over all repeats, like the good answers beside it: also what the first of them did not see."""
    offered = Offered(IO, "open", 5.0, rate=100)
    seen = lap(offered, 60.0, 0.05, random.Random(1))
    ends = (
        (Fated("timeout", None, 200),),
        (Fated("error", 503, 100), Fated("error", 502, 5), Fated("timeout", None, 95)),
        (Fated("error", 503, 150), Fated("timeout", None, 50)),
    )
    steps = [Step(2.0, replace(seen, fates=(Fated("answered", 200, 300), *end)), 7) for end in ends]
    first = one("overload").of(OverloadRun)[0]
    runs = tuple(replace(first, steps=(step,), repeat=number) for number, step in enumerate(steps, 1))
    section = made(overload, Comparison((), others=runs))
    said = "timeout 19.0/s, error 503 20.0/s, error 502 0/s"
    assert cells(section.charts[0].data)["Excess, by kind"] == said
    assert cells(section.table)["Excess there"] == said


@pytest.mark.parametrize(
    ("recovery", "said"), [(None, "Recovered not within 10 s."), (0.5, "Recovered 500 ms after the load had ended.")]
)
def test_recovery_is_told(recovery: float | None, said: str) -> None:
    """How long after the load, or that it was not seen while it was watched."""
    run = replace(one("overload").of(OverloadRun)[0], recovery_s=recovery)
    assert made(overload, Comparison((), others=(run,))).charts[0].told[0] == said


def test_memory_is_stacked_by_what_it_goes_to() -> None:
    """Workers, the rest, and what requests and connections come to on top; costs of one each in words."""
    comparison = one("memory")
    run = comparison.of(MemoryRun)[0]
    section = made(memory, comparison)
    names = [element.get("data-place") for element in ElementTree.fromstring(section.charts[0].drawing).iter()]
    more = (run.memory.full.pss_bytes - run.memory.at_rest.pss_bytes) / 2**10
    assert f"10 in flight: {more:.0f} KiB more than at rest" in names
    assert section.charts[0].told[0].startswith("1 worker, ")
    assert cells(section.table)["A request"] == f"{(run.per_request_bytes or 0) / 2**10:.1f} KiB"
    assert cells(section.charts[0].data, 1)["Moment"] == "10 in flight"


def test_changes_are_told_with_their_verdict() -> None:
    """Each figure's ratio with its interval, a verdict, and why there is none."""
    section = changed.section(Comparison((), changes=changes()))
    assert section
    assert section.table
    rows = [row for group in section.table.groups for row in group.rows]
    assert [row.judged.verdict for row in rows if row.judged] == ["worse", "no difference", "better", "not comparable"]
    assert rows[3].judged
    assert rows[3].judged.codes == ("other kernel: 6.1 and 6.18",)
    assert [chart.judged.verdict for chart in section.charts] == ["worse", "better"]
    assert "1.20 times, worse" in texts(section.charts[0])


def test_a_finding_is_told_once() -> None:
    """That a run repeats those of its laps adds nothing; what is the run's own comes first."""
    run = one("latency").of(LatencyRun)[0]
    own = Finding("repeats_disagree", "p99: 3 repeats lie apart.")
    doubts = Doubts(Comparison((), others=(replace(run, findings=(own, *run.findings)),)))
    reasons = doubts.entries[0].reasons
    assert reasons[0] == ("", own)
    assert [where for where, _finding in reasons[1:]] == [f"at {run.points[-1].offered.rate:.0f}/s"]


def test_a_doubted_lap_is_hollow_and_linked() -> None:
    """SUSPECT is told in the lap's line, with its code and the place of its reasons."""
    chart = made(latency, one("latency")).charts[0]
    rows = chart.data.groups[0].rows
    assert [row.judged.verdict for row in rows if row.judged] == ["VALID"] * 6 + ["SUSPECT"]
    assert rows[-1].judged
    assert rows[-1].judged.codes == ("below_offered",)
    assert rows[-1].judged.doubt == chart.judged.doubt == "doubt-1"


def test_all_at_a_glance(everything: Comparison) -> None:
    """One line for each topology with its settings; a figure of each experiment, or a dash; none for one experiment."""
    glance = at_a_glance(everything, Doubts(everything))
    assert glance
    assert glance.table
    heads = [group.rows[0].head for group in glance.table.groups]
    assert len(heads) == len({(head.text, head.more) for head in heads})
    names = [head.text for head in heads]
    line = cells(glance.table, names.index("uwsgi-threads"))
    assert line["In a handler"] == "10"
    assert line["Served by"] == "thread pool"
    assert all(text != "-" for text in line.values())
    assert cells(glance.table, names.index("granian"))["Knee/s"] == "-"
    assert at_a_glance(one("latency"), Doubts(one("latency"))) is None


def test_every_chart_has_figures_a_command_and_a_description(everything: Comparison) -> None:
    """Of all drawings in all sections: a table, something to type, and the figures in words."""
    charts = [chart for section in sections(everything, Doubts(everything)) for chart in section.charts]
    drawings = [chart for chart in charts if chart.drawing]
    assert len(drawings) == 6 * len(SERVERS) + 2
    for chart in drawings:
        root = ElementTree.fromstring(chart.drawing)
        assert root.get("role") == "img"
        assert root[0].text
        assert chart.data.groups[0].rows
        assert chart.data.groups[0].rows[0].cells[0].text in (root[1].text or "")
        assert chart.commands or "what changed" in root[0].text


def dead(seen: Lap) -> Lap:
    """A lap in which nobody was answered."""
    return replace(seen, achieved=0.0, latencies=(), fates=(Fated("refused", None, seen.requests),))


@pytest.mark.parametrize("what", ["nothing", "nobody"])
def test_runs_that_saw_little_make_a_page(what: str) -> None:
    """Runs without a lap are left out, and laps without an answer have no latency: the page is whole all the same."""
    plateaus, points, steps, held = runs_of(GTHREAD)
    assert isinstance(plateaus, ThroughputRun)
    assert isinstance(points, LatencyRun)
    assert isinstance(steps, OverloadRun)
    if what == "nothing":
        runs = (replace(plateaus, plateaus=()), replace(points, points=(), knee=None), replace(steps, steps=()))
    else:
        runs = (
            replace(plateaus, plateaus=tuple(replace(one, lap=dead(one.lap)) for one in plateaus.plateaus)),
            replace(points, points=tuple(map(dead, points.points)), knee=None),
            replace(steps, steps=tuple(replace(one, lap=dead(one.lap)) for one in steps.steps)),
        )
    comparison = Comparison((), others=(*runs, held))
    names = [section.name for section in sections(comparison, Doubts(comparison))]
    assert names == (["memory"] if what == "nothing" else ["throughput", "cost", "latency", "overload", "memory"])


def test_a_damaged_histogram_is_named() -> None:
    """A run whose histogram can't be decoded gives one line that says what to do."""
    point = one("latency").of(LatencyRun)[0].points[0]
    assert point.answered
    spoiled = replace(point, latencies=(replace(point.answered, hdr=point.answered.hdr[:-8]),))
    with pytest.raises(LabError, match=r"A histogram of latencies can't be read: .* run it again\."):
        distribution.percentiles((spoiled,))
