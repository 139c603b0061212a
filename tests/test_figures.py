"""Which numbers of a run are compared, and what becomes of them over repeats."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests import loaded
from topolab import paths, store
from topolab.figures import figures
from topolab.loads import Work
from topolab.medians import medians
from topolab.results import Finding, Run


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (loaded.throughput("waitress", 500.0), [
            ("requests/s, greeting", 500.0, "1/s", True),
            ("CPU of 1,000 requests, greeting", 2.0, "CPU s", False),
        ]),
        (loaded.latency("waitress", 0.02), [
            ("p50 at 100/s", 0.01, "s", False), ("p99 at 100/s", 0.02, "s", False),
            ("p50 at 200/s", 0.01, "s", False), ("p99 at 200/s", 0.02, "s", False),
            ("ceiling", 400, "1/s", True), ("knee", 200.0, "1/s", True),
        ]),
        (loaded.overload("waitress", 350.0, 1.5), [
            ("good answers at 2 times the ceiling", 350.0, "1/s", True),
            ("p50 at 2 times the ceiling", 0.15, "s", False), ("p99 at 2 times the ceiling", 0.3, "s", False),
            ("begun for nobody at 2 times the ceiling", 12, "requests", False),
            ("recovery", 1.5, "s", False),
        ]),
        (loaded.memory("waitress", 30_000_000), [
            ("memory at rest", 60_000_000, "bytes", False), ("memory at full", 61_000_000, "bytes", False),
            ("memory of a worker", 30_000_000, "bytes", False),
            ("memory of a request in flight", 250_000, "bytes", False),
        ]),
    ],
    ids=lambda value: getattr(value, "experiment", ""),
)  # fmt: skip
def test_the_figures_of_a_run(run: Run, expected: list[object]) -> None:
    """Each experiment gives its figures by name, with unit and direction; what could not be measured is left out."""
    assert [(each.name, each.value, each.unit, each.higher_is_better) for each in figures(run)] == expected


def test_what_was_offered_stands_beside_a_figure() -> None:
    """10 ms and 12 ms of CPU have the same figure, and the load tells them apart."""
    ten, twelve = (figures(loaded.throughput("waitress", 50.0, work=Work("cpu", cpu_ms=ms)))[0] for ms in (10, 12))
    assert ten.name == twelve.name == "requests/s, cpu"
    assert ten.load == "cpu 10 ms, closed loop, keep-alive"
    assert twelve.load == "cpu 12 ms, closed loop, keep-alive"


def test_work_that_tells_nobody_has_no_dead_work() -> None:
    """Views are counted where they call the gate; what was not counted is left out, and is not nothing."""
    run = loaded.overload("waitress", 350.0, 1.5)
    run = replace(run, steps=tuple(replace(step, dead=None) for step in run.steps))
    assert not [figure for figure in figures(run) if figure.name.startswith("begun")]


def test_too_few_requests_for_p99_are_enough_for_the_median() -> None:
    """The doubt is about the percentile that was asked for; any other doubt is about every number of the lap."""
    for code, middle in (("too_few_samples", "VALID"), ("drift", "SUSPECT")):
        doubt = Finding(code, "so it is")  # type: ignore[arg-type]
        run = loaded.latency("waitress", 0.02)
        run = replace(run, points=tuple(replace(lap, findings=(doubt,), verdict="SUSPECT") for lap in run.points))
        verdicts = {figure.name.split()[0]: figure.verdict for figure in figures(run)}
        assert (verdicts["p50"], verdicts["p99"]) == (middle, "SUSPECT")


def test_repeats_become_a_median_with_an_interval() -> None:
    """Three repeats: their median, an interval around it, how many there were, and VALID."""
    found = medians(loaded.throughput("waitress", rate, number) for number, rate in enumerate((500, 510, 495), 1))
    first = found[0]
    assert (first.interval.median, first.interval.repeats, first.verdict) == (500, 3, "VALID")
    assert first.interval.low is not None
    assert first.interval.high is not None
    assert first.interval.low < 495 < 510 < first.interval.high
    assert first.values == (500, 510, 495)


def test_a_suspect_repeat_makes_its_own_figure_suspect() -> None:
    """A finding of one lap doubts the figures of that lap, in the median too, and none of another topology."""
    runs = [loaded.throughput("waitress", 500, 1), loaded.throughput("waitress", 505, 2, findings=(loaded.DRIFT,))]
    found = medians([*runs, loaded.throughput("gunicorn-sync", 900, 1)])
    assert {(each.topology, each.verdict) for each in found} == {("waitress", "SUSPECT"), ("gunicorn-sync", "VALID")}


def test_a_median_is_as_good_as_most_of_its_repeats() -> None:
    """One doubted repeat of three can't move the median out of the others; two of three, or one of two, can."""

    def judged(*doubted: bool) -> set[str]:
        runs = [
            loaded.throughput("waitress", 500, number, findings=(loaded.DRIFT,) if doubt else ())
            for number, doubt in enumerate(doubted, 1)
        ]
        return {each.verdict for each in medians(runs)}

    assert judged(True, False, False) == judged(False) == {"VALID"}
    assert judged(True, True, False) == judged(True, False) == judged(True) == {"SUSPECT"}


def test_repeats_that_disagree_are_doubted() -> None:
    """Rates 30 % apart are SUSPECT with a finding; latencies as far apart are only noisy."""
    rates = medians(loaded.throughput("waitress", rate, number) for number, rate in enumerate((500, 650, 560), 1))
    assert [finding.code for finding in rates[0].findings] == ["repeats_disagree"]
    assert rates[0].verdict == "SUSPECT"
    times = medians(loaded.latency("waitress", p99_s, number) for number, p99_s in enumerate((0.02, 0.026, 0.022), 1))
    assert {each.verdict for each in times} == {"VALID"}


@pytest.mark.parametrize("good", [(98.2, 0.0, 0.0), (98.2, 99.0, 0.0)])
def test_a_rate_that_collapses_in_some_repeats_is_doubted(good: tuple[float, ...]) -> None:
    """From 98 to nothing and back is SUSPECT and says how often; its interval does not go below nothing."""
    found = medians(loaded.overload("flask-forking", rate, 1.0, number) for number, rate in enumerate(good, 1))
    rates = next(each for each in found if each.figure == "good answers at 2 times the ceiling")
    assert [finding.code for finding in rates.findings] == ["repeats_disagree"]
    assert f"{good.count(0)} of 3 repeats" in rates.findings[0].message
    assert rates.verdict == "SUSPECT"
    assert rates.interval.low == 0


def test_counts_and_rates_that_are_always_nothing_agree() -> None:
    """A view or none that ran for nobody is chance; a rate of nothing in all repeats is the same in all."""

    def overload(good: float, dead: int, number: int) -> Run:
        run = loaded.overload("flask-forking", good, 1.0, number)
        return replace(run, steps=(replace(run.steps[0], dead=dead),))

    found = medians(overload(0.0, dead, number) for number, dead in enumerate((0, 1, 0), 1))
    assert {each.verdict for each in found} == {"VALID"}
    dead = next(each for each in found if each.figure == "begun for nobody at 2 times the ceiling")
    assert dead.interval.low == 0
    assert dead.interval.high
    assert dead.interval.high > 1


def test_every_behaviour_has_its_figures() -> None:
    """The stored pages' runs of identity, isolation, dead work and bursts give figures, each with a direction."""
    folder = paths.HOME / "docs/behaviours"
    expected = {
        "identity": ["p99 of the wait for a view", "waited beside a free worker"],
        "isolation": ["found what was another's"],
        "deadwork": ["begun for nobody"],
        "burst": ["p99 of a burst, its own backlog", "slow of a burst, its own backlog"],
    }
    for experiment, names in expected.items():
        runs = store.load([folder / f"{experiment}.json"]).others
        sync = next(run for run in runs if run.topology == "gunicorn-sync")
        assert [each.name for each in figures(sync)][: len(names)] == names
        assert not any(each.higher_is_better for each in figures(sync))
