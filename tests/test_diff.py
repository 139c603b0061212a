"""What changed from some runs to others, what is not comparable, and how it is said."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests import loaded
from topolab import paths, store
from topolab.changes import against, between
from topolab.cli import cli
from topolab.comparison import Comparison
from topolab.errors import LabError
from topolab.experiments.capacity import capacity
from topolab.ledger import PlaceCount
from topolab.loads import Calibration, Lap, LatencyRun, Work
from topolab.medians import medians
from topolab.plan import resolve
from topolab.reports import blocks, diffs
from topolab.results import NotRun, Run, to_json
from topolab.runtimes.fake import FakeRuntime, observation
from topolab.topology import Catalog

STEADY = (1000.0, 1015.0, 990.0, 1008.0, 1001.0)


def of(*runs: Run) -> Comparison:
    return Comparison((), others=runs)


def five(topology: str, factor: float = 1.0, values: Sequence[float] = STEADY) -> list[Run]:
    return [loaded.throughput(topology, rate * factor, number) for number, rate in enumerate(values, 1)]


def verdicts(before: Comparison, after: Comparison, *across: str) -> dict[tuple[str, str], str]:
    changes = between(before, after, across=across).changes
    return {(change.topology, change.figure): change.verdict for change in changes}


def test_what_is_slower_is_worse_and_the_rest_no_different() -> None:
    """Of two topologies, the one with 15 % fewer requests/s and as much more CPU is worse, the other is not."""
    before = of(*five("waitress"), *five("gunicorn-sync"))
    after = of(*five("waitress", 1 / 1.15), *five("gunicorn-sync", 1.01))
    assert verdicts(before, after) == {
        ("waitress", "requests/s, greeting"): "worse",
        ("waitress", "CPU of 1,000 requests, greeting"): "worse",
        ("gunicorn-sync", "requests/s, greeting"): "no difference",
        ("gunicorn-sync", "CPU of 1,000 requests, greeting"): "no difference",
    }
    assert verdicts(after, before)["waitress", "requests/s, greeting"] == "better"


@pytest.mark.parametrize(
    ("change", "what", "because"),
    [
        (lambda run: replace(run, host=replace(run.host, kernel="6.18.0")), "kernel",
         "other kernel: 6.1.0 and 6.18.0 (--across kernel)"),
        (lambda run: replace(run, host=replace(run.host, cpu="Another", cores=8)), "machine",
         "other machine: CPU Some CPU and Another, cores 2 and 8 (--across machine)"),
        (lambda run: replace(run, runtime="compose"), "runtime",
         "other runtime: process and compose (--across runtime)"),
        (lambda run: replace(run, versions={**run.versions, "gunicorn": "25.3.0"}), "versions",
         "other versions: gunicorn 27.0.1 and 25.3.0 (--across versions)"),
        (lambda run: replace(run, plan={**run.plan, "WORKERS": "4"}), "settings",
         "other settings: workers 2 and 4 (--across settings)"),
        (lambda run: replace(run, command=f"{run.command} --seconds 5 --work greeting"), "work",
         "other work: seconds none and 5 (--across work)"),
        (lambda run: loaded.throughput(run.topology, run.plateaus[0].lap.achieved, work=Work("greeting", size=9)),
         "work",
         "other work: greeting, closed loop, keep-alive and greeting 9 bytes, closed loop, keep-alive (--across work)"),
    ],
)  # fmt: skip
def test_what_differs_besides_is_a_reason_unless_it_is_asked_for(change: object, what: str, because: str) -> None:
    """Each other circumstance makes figures not comparable, in words; `--across` it compares them, and says so."""
    assert callable(change)
    before, after = of(*five("waitress")), of(*(change(run) for run in five("waitress", 0.8)))
    found = between(before, after)
    assert {(each.verdict, each.because) for each in found.changes} == {("not comparable", because)}
    assert found.across == ()
    allowed = between(before, after, across=[what])
    assert {each.verdict for each in allowed.changes} == {"worse"}
    assert [line.partition(":")[0] for line in allowed.across] == [what]


def test_two_reasons_stand_beside_each_other() -> None:
    """Allowing one of two differences does not allow the other."""
    others = [replace(run, runtime="compose", versions={}) for run in five("waitress")]
    found = between(of(*five("waitress")), of(*others), across=["versions"])
    assert {each.because for each in found.changes} == {"other runtime: process and compose (--across runtime)"}
    assert {change.verdict for change in between(of(*five("waitress")), of(*others), across=["all"]).changes} == {
        "no difference"
    }


def test_runs_of_one_side_that_differ_among_themselves_are_not_comparable() -> None:
    """Five runs of which one had other settings are no five repeats."""
    mixed = five("waitress")
    mixed[2] = replace(mixed[2], plan={**mixed[2].plan, "WORKERS": "4"})
    found = between(of(*five("waitress")), of(*mixed))
    assert {each.because for each in found.changes} == {"other settings: workers 2 and 2 or 4 (--across settings)"}


def test_one_view_more_in_each_repeat_is_no_difference() -> None:
    """Counts of requests are compared as such: what agrees in five repeats by chance is not taken for certain."""

    def dead(count: int) -> Comparison:
        runs = [loaded.overload("waitress", 350.0, 1.5, number) for number in range(1, 6)]
        return of(*(replace(run, steps=(replace(run.steps[0], dead=count),)) for run in runs))

    figure = ("waitress", "begun for nobody at 2 times the ceiling")
    assert verdicts(dead(0), dead(1))[figure] == "no difference"
    assert verdicts(dead(1), dead(2))[figure] == "no difference"
    assert verdicts(dead(0), dead(20))[figure] == "worse"


def test_too_few_repeats_are_told() -> None:
    """With two repeats on each side "no difference" says next to nothing, and that is said; with three it is not."""

    def notes(repeats: int) -> tuple[str, ...]:
        return between(
            of(*five("waitress", values=STEADY[:repeats])), of(*five("waitress", values=STEADY[:repeats]))
        ).notes

    assert notes(2) == (
        "With fewer than 3 repeats hardly any difference can be told from noise: measure with --repeats 5.",
    )
    assert notes(3) == ()


def test_what_only_one_side_has_is_named() -> None:
    """A topology or an experiment that the other lacks is no change, and is said."""
    found = between(of(*five("waitress"), loaded.memory("waitress", 10)), of(*five("waitress"), *five("uwsgi")))
    assert found.notes == ("Only before: memory on waitress.", "Only after: throughput on uwsgi.")


def failed(experiment: str, topology: str, *, could: bool = True) -> NotRun:
    return NotRun(experiment, topology, "process", "it died: killed by signal 11.", "Look.", failed=could)


def test_what_failed_after_is_said_to_have_vanished() -> None:
    """A topology that failed is named with its reason; what was not tried, or can't run on this machine, is a note."""
    before = of(*five("waitress"), *five("uwsgi"), *five("granian"))
    gaps = (failed("throughput", "waitress"), failed("throughput", "granian", could=False), failed("memory", "uwsgi"))
    found = between(before, Comparison((), not_run=gaps))
    assert [(one.experiment, one.topology, one.figure) for one in found.vanished] == [("throughput", "waitress", "")]
    assert found.notes == ("Only before: throughput on uwsgi, throughput on granian.",)
    assert diffs.title(found) == "1 vanished"
    line = "Vanished: throughput on waitress, which was measured before: it died: killed by signal 11."
    assert diffs.sheet(found).lines == (line, *found.notes)
    assert between(before, before).vanished == ()


def test_a_work_that_failed_has_vanished_and_one_that_was_not_asked_for_has_not() -> None:
    """Of a topology that was measured: its other work failed, or was never offered."""
    both = of(*five("waitress"), *(loaded.throughput("waitress", 50, n, work=Work("io", io_ms=20)) for n in (1, 2, 3)))
    after = Comparison((), others=tuple(five("waitress")), not_run=(failed("throughput", "waitress"),))
    assert [one.figure for one in between(both, after).vanished] == ["requests/s, io", "CPU of 1,000 requests, io"]
    less = between(both, of(*five("waitress")))
    assert less.vanished == ()
    assert less.notes[-1].startswith("Only before: CPU of 1,000 requests, io of throughput on waitress")


def test_a_percentile_that_nobody_was_answered_for_has_vanished() -> None:
    """Where a rate was offered and nobody was answered there is no p99, and that is no note; other rates are one."""
    before = of(*(loaded.latency("waitress", 0.02, number) for number in (1, 2, 3)))

    def changed(points: slice, *, dead: bool) -> Comparison:
        def lap(seen: Lap) -> Lap:
            return replace(seen, latencies=()) if dead and seen.offered.rate > 150 else seen

        runs = [loaded.latency("waitress", 0.02, number) for number in (1, 2, 3)]
        return of(*(replace(run, points=tuple(map(lap, run.points[points]))) for run in runs))

    found = between(before, changed(slice(2), dead=True))
    assert [one.figure for one in found.vanished] == ["p50 at 200/s", "p99 at 200/s"]
    assert found.notes == ()
    other = between(before, changed(slice(1), dead=False))
    assert other.vanished == ()
    assert other.notes == ("Only before: p50 at 200/s of latency on waitress, p99 at 200/s of latency on waitress.",)
    now_and_then = of(*before.others[:2], *changed(slice(2), dead=True).others[2:])
    assert between(now_and_then, changed(slice(2), dead=True)).vanished == ()


def test_a_knee_that_is_gone_is_worse() -> None:
    """Where no rate holds any more the knee is 0, and a repeat without one counts among the others."""
    before = of(*(loaded.latency("waitress", 0.02, number) for number in range(1, 6)))
    none = [replace(run, knee=None) for run in before.others if isinstance(run, LatencyRun)]
    [knee] = [change for change in between(before, of(*none)).changes if change.figure == "knee"]
    assert (knee.verdict, knee.before.median, knee.after.median) == ("worse", 200.0, 0.0)
    [mixed] = [one for one in medians([*none[:3], *before.others[3:]]) if one.figure == "knee"]
    assert (mixed.interval.median, mixed.verdict) == (0.0, "SUSPECT")


def test_repeats_that_failed_after_have_vanished() -> None:
    """Those that are left are the lucky ones: the failures are named, also where every figure is still there."""
    gaps = tuple(failed("throughput", "waitress") for _ in range(4))
    after = replace(of(*five("waitress")[:1]), not_run=gaps)
    [gone] = between(of(*five("waitress")), after).vanished
    assert (gone.figure, gone.because) == ("", "4 of 5 repeats failed: it died: killed by signal 11.")
    before = replace(of(*five("waitress")), not_run=gaps[:1])
    assert between(before, after).vanished == ()


def test_a_machine_that_was_slower_itself_is_told() -> None:
    """Where the instrument alone reached much less against its null server, that stands beside all verdicts."""

    def calibrated(rate: float) -> list[Run]:
        known = Calibration(rate, 0.01, 20_000, 0.05, 9_000)
        return [replace(run, calibration=known) for run in five("waitress")]  # type: ignore[call-arg]

    found = between(of(*calibrated(100_000)), of(*calibrated(70_000)))
    assert found.notes == (
        "The instrument itself reached 100,000 requests/s before and 70,000 after: the machine was not as fast as it "
        "had been, whatever is said here of a server.",
    )
    assert between(of(*calibrated(100_000)), of(*calibrated(95_000))).notes == ()


def test_a_baseline_within_one_campaign() -> None:
    """Every other topology is set beside it, under the same verdicts; the baseline itself is not."""
    found = medians([*five("waitress"), *five("gunicorn-sync", 1.4), *five("uwsgi", 0.995)])
    changes = {(each.topology, each.figure): each for each in against("waitress", found)}
    assert changes["gunicorn-sync", "requests/s, greeting"].verdict == "better"
    assert changes["uwsgi", "requests/s, greeting"].verdict == "no difference"
    assert changes["gunicorn-sync", "requests/s, greeting"].ratio is not None
    assert {topology for topology, _ in changes} == {"gunicorn-sync", "uwsgi"}


def test_a_suspect_figure_stays_marked() -> None:
    """A verdict on a SUSPECT run stands, and is marked SUSPECT."""
    doubted = [loaded.throughput("waitress", 790.0 + 5 * n, n, findings=(loaded.DRIFT,)) for n in (1, 2, 3)]
    found = between(of(*five("waitress")), of(*five("waitress", 0.8)[3:], *doubted)).changes[0]
    assert (found.verdict, found.suspect) == ("worse", True)


def test_a_ledger_that_changed_is_shown(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One capacity run each is enough: counts that the settings fix do not scatter, so every difference is one."""
    monkeypatch.setattr(paths, "STATE", tmp_path)

    def measured(workers: int) -> Comparison:
        places = (PlaceCount("app", "handler", workers), PlaceCount("app", "accept_queue", 100 - workers))
        plan = resolve(catalog, "gunicorn-sync", sets=[f"workers={workers}"], requests=100)
        return Comparison((capacity(FakeRuntime({"gunicorn-sync": observation(*places)}), plan, lambda _: None),))

    found = between(measured(4), measured(8), across=["settings"])
    assert [(change.figure, change.verdict) for change in found.changes] == [
        ("in a handler", "better"), ("held, in a handler or waiting", "no difference")
    ]  # fmt: skip
    assert [(moved.before, moved.after) for moved in found.ledgers] == [
        (("4 app handler · 96 app accept queue",), ("8 app handler · 92 app accept queue",))
    ]
    assert between(measured(4), measured(4)).ledgers == ()


def test_the_diff_as_markdown() -> None:
    """What changed is a table in sight, what did not is folded away, and reasons and gaps are a list."""
    before = of(*five("waitress"), *five("gunicorn-sync"), loaded.memory("uwsgi", 10))
    after = of(
        *five("waitress", 0.5), *(replace(run, versions={"gunicorn": "25.3.0"}) for run in five("gunicorn-sync"))
    )
    after = replace(after, others=(*after.others, *(loaded.latency("waitress", 0.02, number) for number in (1, 2, 3))))
    before = replace(
        before, others=(*before.others, *(loaded.latency("waitress", 0.02, number) for number in (1, 2, 3)))
    )
    assert (
        diffs.markdown(between(before, after))
        == """\
**2 worse, 6 no difference, 2 not comparable**

*worse: throughput*

| Topology | Figure | Before | After | Ratio | its interval | N | Verdict |
| --- | --- | ---: | ---: | ---: | --- | --- | --- |
| waitress | requests/s, greeting | 1,001/s | 500/s | 0.50 | 0.49 to 0.51 | 5 | VALID |
| waitress | CPU of 1,000 requests, greeting | 999 ms | 2.00 s | 2.00 | 1.95 to 2.05 | 5 | VALID |

- Not comparable: throughput of gunicorn-sync (2 figures): other versions: flask 3.1.3 and none, gunicorn 27.0.1 and \
25.3.0 (--across versions)
- Only before: memory on uwsgi.

<details><summary>No difference: 6 figures</summary>

*no difference: latency*

| Topology | Figure | Before | After | Ratio | its interval | N | Verdict |
| --- | --- | ---: | ---: | ---: | --- | --- | --- |
| waitress | p50 at 100/s | 10.0 ms | 10.0 ms | 1.00 | exact | 3 | VALID |
| waitress | p99 at 100/s | 20.0 ms | 20.0 ms | 1.00 | exact | 3 | VALID |
| waitress | p50 at 200/s | 10.0 ms | 10.0 ms | 1.00 | exact | 3 | VALID |
| waitress | p99 at 200/s | 20.0 ms | 20.0 ms | 1.00 | exact | 3 | VALID |
| waitress | ceiling | 400/s | 400/s | 1.00 | exact | 3 | VALID |
| waitress | knee | 200/s | 200/s | 1.00 | exact | 3 | VALID |

</details>
"""
    )


def test_a_name_can_not_break_a_table() -> None:
    """Marks of Markdown and control codes in a name are shown, not obeyed."""
    runs = [replace(run, topology="a|b\x1b[31m*c*") for run in five("x")]
    found = between(of(*runs), of(*runs))
    assert "a\\|b \\[31m\\*c\\*" in diffs.markdown(found)
    console = Console(file=io.StringIO(), width=120)
    console.print(blocks.terminal(diffs.sheet(found)))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "a|b" in shown
    assert "\x1b" not in shown


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Runs on disk, and the same 20 % slower."""
    for name, factor in (("before", 1.0), ("after", 0.8)):
        for run in five("waitress", factor):
            store.write_text(tmp_path / name / f"{run.name}.json", json.dumps(to_json(run)))
    return tmp_path / "before", tmp_path / "after"


def test_the_exit_code_tells_ci(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """0 where nothing is worse or nobody asked, 1 with --fail-on worse, 2 where nothing can be compared."""
    before, after = map(str, folders)
    assert cli.main(["diff", before, after], standalone_mode=False) == 0
    assert cli.main(["diff", before, after, "--fail-on", "worse"], standalone_mode=False) == 1
    assert cli.main(["diff", after, before, "--fail-on", "worse"], standalone_mode=False) == 0
    assert cli.main(["diff", before, before, "--fail-on", "worse"], standalone_mode=False) == 0
    assert cli.main(["diff", before, after, "--fail-on", "worse", "--smallest", "30"], standalone_mode=False) == 0
    one = str(next(folders[1].iterdir()))
    assert cli.main(["diff", one, one, "--fail-on", "worse"], standalone_mode=False) == 2
    assert "one run each says nothing of the noise" in capsys.readouterr().out


def test_the_exit_code_tells_what_vanished(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """What failed after is 1 with --fail-on worse, also where nothing else is left; what was not tried is not."""
    before, after = map(str, folders)
    for run in five("uwsgi"):
        store.write_text(folders[0] / f"uwsgi-{run.name}.json", json.dumps(to_json(run)))
    for run in five("waitress"):
        store.write_text(folders[1] / f"{run.name}.json", json.dumps(to_json(run)))
    assert cli.main(["diff", before, after, "--fail-on", "worse"], standalone_mode=False) == 0
    assert "Only before: throughput on uwsgi" in capsys.readouterr().out
    gap = folders[1] / "gap.json"
    store.write_text(gap, json.dumps(to_json(failed("throughput", "uwsgi"))))
    assert cli.main(["diff", before, after, "--fail-on", "worse"], standalone_mode=False) == 1
    assert "Vanished: throughput on uwsgi" in capsys.readouterr().out
    assert cli.main(["diff", before, after], standalone_mode=False) == 0
    assert cli.main(["diff", before, str(gap), "--fail-on", "worse"], standalone_mode=False) == 1


def test_the_diff_as_json(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Each change has its medians with intervals, the ratio with its own, unit, verdict and trust."""
    cli.main(["diff", *map(str, folders), "--json"], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    change = found["changes"][0]
    assert (change["verdict"], change["unit"], change["suspect"]) == ("worse", "1/s", False)
    assert change["ratio"]["low"] < 0.8 < change["ratio"]["high"] < 1
    assert change["before"]["repeats"] == 5


def test_a_campaign_is_found_by_its_name(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is no file stands for the campaign of that name; one that is neither is an error."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    (tmp_path / "results" / "campaigns").mkdir(parents=True)
    folders[0].rename(tmp_path / "results" / "campaigns" / "night")
    assert cli.main(["diff", "night", str(folders[1])], standalone_mode=False) == 0
    with pytest.raises(LabError, match="nightly: can't be read"):
        cli.main(["diff", "nightly", str(folders[1])], standalone_mode=False)


def test_figures_that_can_not_be_compared_pass_no_gate(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of runs at other settings only ledgers are shown: with --fail-on worse that is 2, as nothing was judged."""
    monkeypatch.setattr(paths, "STATE", tmp_path / "state")
    for workers in (4, 8):
        places = (PlaceCount("app", "handler", workers), PlaceCount("app", "accept_queue", 100 - workers))
        plan = resolve(catalog, "gunicorn-sync", sets=[f"workers={workers}"], requests=100)
        run = capacity(FakeRuntime({"gunicorn-sync": observation(*places)}), plan, lambda _: None)
        store.save(run, tmp_path / str(workers))
    words = ["diff", str(tmp_path / "4"), str(tmp_path / "8")]
    assert cli.main(words, standalone_mode=False) == 0
    assert cli.main([*words, "--fail-on", "worse"], standalone_mode=False) == 2
    assert "nothing could be compared" in capsys.readouterr().err
    assert cli.main([*words, "--fail-on", "worse", "--across", "settings"], standalone_mode=False) == 0


def test_a_diff_is_printed_in_one_way(folders: tuple[Path, Path]) -> None:
    """Two ways at once are refused."""
    with pytest.raises(LabError, match="--markdown and --json: it is printed as one of them"):
        cli.main(["diff", *map(str, folders), "--markdown", "--json"], standalone_mode=False)
