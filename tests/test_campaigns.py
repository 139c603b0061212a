"""A campaign keeps every finished cell, whatever ends it, and goes on with exactly those that are left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests import loaded
from tests.loaded import raw_lap
from topolab import campaigns, host, paths, samples, store
from topolab.campaigns import Cell, Folder, Result
from topolab.cli import cli, repeating
from topolab.errors import LabError
from topolab.experiments.campaign import TimeLeft, run
from topolab.experiments.capacity import OnEvent, capacity
from topolab.experiments.cells import EXPERIMENTS, Measure, Terms
from topolab.ledger import PlaceCount
from topolab.loads import Calibration, Campaign, ThroughputRun, Work
from topolab.offers import Rate
from topolab.plan import Plan, resolve
from topolab.results import Finding, NotRun, Run
from topolab.runtimes.base import Runtime
from topolab.runtimes.fake import FakeRuntime, observation
from topolab.topology import Catalog

SEEN = observation(PlaceCount("app", "handler", 4), PlaceCount("app", "accept_queue", 96))
NAMES = ("gunicorn-sync", "waitress", "flask-threaded")


def silent(_line: str) -> None: ...


@pytest.fixture(autouse=True)
def lab_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "STATE", tmp_path / "state")
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")


def campaign(name: str = "night", repeats: int = 2, topologies: tuple[str, ...] = NAMES) -> Campaign:
    return Campaign(
        name=name, runtime="process", topologies=topologies, experiments=("capacity",), repeats=repeats, seed=7,
        words=("--requests", "100"), started="2026-11-20T12:00:00.000Z",
        cells=campaigns.order(topologies, ("capacity",), repeats, 7),
    )  # fmt: skip


def measured(
    folder: Folder, runtime: FakeRuntime | None = None, measures: Mapping[str, Measure] | None = None
) -> list[tuple[Cell, Result]]:
    catalog = Catalog()
    plans = {("capacity", name): resolve(catalog, name, requests=100) for name in folder.campaign.topologies}
    runtime = runtime or FakeRuntime(dict.fromkeys(NAMES, SEEN))
    return list(run(
        folder, runtime, measures or {"capacity": EXPERIMENTS["capacity"].measure}, plans, Terms(), say=lambda _: None,
        on_start=lambda *_: None, on_event=lambda _: None,
    ))  # fmt: skip


def test_every_repeat_is_a_whole_round_in_an_order_of_its_own() -> None:
    """A round has every topology under every experiment once; the rounds' orders differ; a seed gives them again."""
    cells = [Cell.named(name) for name in campaigns.order(NAMES, ("capacity", "latency", "memory"), 4, seed=1)]
    rounds = [cells[start : start + 9] for start in range(0, 36, 9)]
    for number, each in enumerate(rounds, 1):
        assert {cell.repeat for cell in each} == {number}
        assert len({(cell.experiment, cell.topology) for cell in each}) == 9
    assert len({tuple((cell.experiment, cell.topology) for cell in each) for each in rounds}) == 4
    assert [str(cell) for cell in cells] == list(campaigns.order(NAMES, ("capacity", "latency", "memory"), 4, seed=1))
    assert [str(cell) for cell in cells] != list(campaigns.order(NAMES, ("capacity", "latency", "memory"), 4, seed=2))


def test_a_campaign_is_a_folder_with_a_file_for_each_cell() -> None:
    """Every cell's run is there under its own name beside campaign.json, and all of it reads back as a comparison."""
    with campaigns.begun(campaign()) as folder:
        cells = measured(folder)
    assert [str(cell) for cell, _ in cells] == list(folder.campaign.cells)
    files = sorted(path.name for path in folder.path.iterdir())
    assert files == sorted(
        ["campaign.json", *(f"capacity-{name}-{repeat}.json" for name in NAMES for repeat in (1, 2))]
    )
    found = store.load([folder.path])
    assert found.campaign == folder.campaign
    assert len(found.runs) == 6


def test_what_fails_is_a_reason_and_the_others_go_on() -> None:
    """A topology that can't run here, and one that fails, are kept with their reasons; the third is measured."""
    runtime = FakeRuntime(
        {"gunicorn-sync": LabError("The instrument was killed by signal 9."), "waitress": SEEN, "flask-threaded": SEEN},
        not_made={"waitress": LabError("waitress: its lock can't be installed.")},
    )
    with campaigns.begun(campaign(repeats=1)) as folder:
        measured(folder, runtime)
    found = store.load([folder.path])
    assert [each.topology for each in found.runs] == ["flask-threaded"]
    assert {gap.topology: (gap.reason, gap.failed) for gap in found.not_run} == {
        "gunicorn-sync": ("The instrument was killed by signal 9.", True),
        "waitress": ("waitress: its lock can't be installed.", True),
    }


def test_what_failed_is_tried_again_and_nothing_else() -> None:
    """Going on measures the cells that have no run: those that failed too, and none that has one."""
    runtime = FakeRuntime({**dict.fromkeys(NAMES, SEEN), "waitress": LabError("died")})
    with campaigns.begun(campaign(repeats=1)) as folder:
        measured(folder, runtime)
    with campaigns.resumed("night") as folder:
        again = measured(folder)
    assert [str(cell) for cell, _ in again] == ["capacity/waitress/1"]
    assert isinstance(again[0][1], Run)
    with campaigns.resumed("night") as folder:
        assert folder.todo == []


KILLED = """
import os, signal, sys
from pathlib import Path
from topolab import campaigns, paths
from topolab.experiments.capacity import OnEvent, capacity
from tests.test_campaigns import campaign, measured

paths.STATE, paths.RESULTS = Path(sys.argv[1], "state"), Path(sys.argv[1], "results")
log, last = Path(sys.argv[1], "log"), int(sys.argv[2])
count = 0

def measure(runtime, plan, on_event, terms):
    global count
    count += 1
    run = capacity(runtime, plan, on_event)
    if count > last:
        os.kill(os.getpid(), signal.SIGKILL)  # after the work, before it is stored
    with log.open("a") as file:
        file.write(plan.name + "\\n")
    return run

begun = Path(paths.RESULTS, "campaigns", "night").exists()
with (campaigns.resumed("night") if begun else campaigns.begun(campaign(repeats=3))) as folder:
    measured(folder, measures={"capacity": measure})
"""


def test_kill_9_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    """Killed again and again, a campaign has each cell measured once in the end; what was stored stays as it is."""
    stored: dict[str, bytes] = {}
    folder = paths.RESULTS / "campaigns" / "night"
    for last in (0, 4, 100):
        ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(last)], check=False, timeout=60)
        assert ended.returncode == (0 if last == 100 else -signal.SIGKILL)
        kept = {path.name: path.read_bytes() for path in folder.glob("*.json")}
        assert stored.items() <= kept.items()
        stored = kept
    assert Counter((tmp_path / "log").read_text().split()) == dict.fromkeys(NAMES, 3)
    order = [Cell.named(name).topology for name in campaign(repeats=3).cells]
    assert (tmp_path / "log").read_text().split() == order
    assert len(store.load([folder]).runs) == 9


def test_what_a_killed_lab_had_half_written_is_cleared_away() -> None:
    """A part of a file that a killed lab left is no cell, and is gone when the campaign goes on."""
    with campaigns.begun(campaign()) as folder:
        (folder.path / ".tmp123.part").write_text('{"experiment": "capa')
    with campaigns.resumed("night") as folder:
        assert len(folder.todo) == 6
    assert [path.name for path in folder.path.iterdir()] == ["campaign.json"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[:200], "capacity-waitress-1.json: this is not JSON ("),
        (lambda text: "", "capacity-waitress-1.json: this is not JSON (Expecting value"),
        (lambda text: "[]", "capacity-waitress-1.json: is not a result of capacity on waitress."),
        (lambda text: text.replace('"topology": "waitress"', '"topology": "uwsgi"'),
         "capacity-waitress-1.json: is not a result of capacity on waitress."),
        (lambda text: text.replace('"seconds"', '"secs"'), "capacity-waitress-1.json: seconds: Field required."),
    ],
)  # fmt: skip
def test_a_damaged_cell_is_named_with_what_to_do(spoil: Callable[[str], str], message: str) -> None:
    """A cell's file that is damaged, or is another's, gives one line with its name; without it the campaign goes on."""
    with campaigns.begun(campaign(repeats=1)) as folder:
        measured(folder)
    file = folder.path / "capacity-waitress-1.json"
    file.write_text(spoil(file.read_text()))
    with pytest.raises(LabError) as caught, campaigns.resumed("night"):
        pass
    text = str(caught.value)
    assert text.startswith(f"{folder.path}/{message}")
    assert text.endswith("Remove it, and `topolab compare --resume night` measures that cell again.")
    file.unlink()
    with campaigns.resumed("night") as folder:
        assert [str(cell) for cell in folder.todo] == ["capacity/waitress/1"]


def test_a_damaged_campaign_is_named() -> None:
    """Without a campaign.json that can be read there is nothing to go on with; what was measured is not to go."""
    with campaigns.begun(campaign()) as folder:
        pass
    (folder.path / "campaign.json").write_text("{")
    message = r"campaign\.json: this is not JSON .* can go on\. Begin another campaign .* stays in .*campaigns/night\."
    gone = pytest.raises(LabError, match=message)
    with gone, campaigns.resumed("night"):
        pass


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("cells", ["x"], 'cells: "x" is no cell of this campaign.'),
        ("cells", ["capacity/waitress/many"], 'cells: "capacity/waitress/many" is no cell of this campaign.'),
        ("cells", ["capacity/uwsgi/1"], 'cells: "capacity/uwsgi/1" is no cell of this campaign.'),
        ("cells", ["capacity/waitress/3"], 'cells: "capacity/waitress/3" is no cell of this campaign.'),
        ("experiments", ["capacity", "magic"], 'experiments: there is no "magic" to compare. Known: burst,'),
        ("runtime", "proces", 'runtime: there is no "proces". Did you mean "process"?'),
        ("words", ["--frobnicate"], "words: \"--frobnicate\" can't be read: No such option"),
        ("words", ["--work", "oi:20"], "words: \"--work oi:20\" can't be read: \"oi:20\" is no work."),
        ("words", ["--help"], "words: \"--help\" can't be read: these are no options of a campaign."),
        ("words", ["--rates", "5"], "words: \"--rates 5\" can't be read: --rates is for latency."),
    ],
)  # fmt: skip
def test_a_campaign_json_of_nonsense_is_named(key: str, value: object, message: str) -> None:
    """Whatever somebody wrote into it: one error with file, key and value, and nothing is measured."""
    with campaigns.begun(campaign()) as folder:
        pass
    file = folder.path / "campaign.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    with pytest.raises(LabError) as caught:
        cli.main(["compare", "--resume", "night"], standalone_mode=False)
    assert str(caught.value).startswith(f"{file}: {message}")
    assert [path.name for path in folder.path.iterdir()] == ["campaign.json"]


def test_results_without_a_campaign_are_not_written_over() -> None:
    """A folder that has cells and lost its campaign.json is no place for a new campaign; an empty one is."""
    with campaigns.begun(campaign(repeats=1)) as folder:
        measured(folder)
    (folder.path / "campaign.json").unlink()
    kept = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    full = pytest.raises(LabError, match=r"night: holds results without campaign\.json, .* Choose another --name")
    with full, campaigns.begun(campaign(repeats=1)):
        pass
    assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == kept
    for path in folder.path.iterdir():
        path.unlink()
    with campaigns.begun(campaign()):
        pass


def test_a_damaged_campaign_stands_in_no_others_way() -> None:
    """The newest that can go on is found beside damaged ones, which are named; their results are not to go."""
    with campaigns.begun(replace(campaign("old"), started="2026-11-18T00:00:00.000Z")):
        pass
    with campaigns.begun(campaign("newer")) as folder:
        measured(folder)
    (folder.path / "capacity-waitress-1.json").write_text("{")
    with campaigns.begun(replace(campaign("newest"), started="2026-11-22T00:00:00.000Z")) as folder:
        pass
    (folder.path / "campaign.json").write_text("{")
    said: list[str] = []
    assert campaigns.latest(2, said.append) == "old"
    assert [line.partition(":")[0] for line in said] == [
        "campaign newest is passed over", "campaign newer is passed over"
    ]  # fmt: skip
    assert "remove" not in said[0]


def test_two_labs_never_measure_the_same_campaign() -> None:
    """While one holds a campaign, a second is refused in one line; afterwards it is not."""
    busy = pytest.raises(LabError, match='Another topolab is measuring campaign "night" right now')
    with campaigns.begun(campaign()), busy, campaigns.resumed("night"):
        pass
    with campaigns.resumed("night"):
        pass


def test_a_name_is_used_once() -> None:
    """A second campaign of the same name is refused: going on with the first has to be said."""
    with campaigns.begun(campaign()):
        pass
    there = pytest.raises(LabError, match=r'a campaign "night" already .* `topolab compare --resume night` goes on')
    with there, campaigns.begun(campaign()):
        pass
    with pytest.raises(LabError, match=r'"\.\./x" is no name of a campaign'), campaigns.begun(campaign("../x")):
        pass
    nowhere = pytest.raises(LabError, match=r'no campaign "day" in .*campaigns\. There are night\.')
    with nowhere, campaigns.resumed("day"):
        pass


def test_the_newest_unfinished_campaign_goes_on() -> None:
    """Without a name it is the newest that has cells left; where none has, one line says so."""
    with campaigns.begun(replace(campaign("old"), started="2026-11-18T00:00:00.000Z")):
        pass
    with campaigns.begun(campaign("newer")) as folder:
        pass
    with campaigns.begun(replace(campaign("done"), started="2026-11-22T00:00:00.000Z")) as folder:
        measured(folder)
    assert campaigns.latest(2, silent) == "newer"
    for name in ("newer", "old"):
        with campaigns.resumed(name) as folder:
            measured(folder)
    with pytest.raises(LabError, match=r"No campaign in .* is unfinished\. There are done, newer, old\."):
        campaigns.latest(2, silent)


def test_another_command_line_is_refused() -> None:
    """What is typed anew has to be what the campaign was begun with, part by part."""
    was = campaign()
    campaigns.require_as_typed(was, was)
    for other, message in (
        (replace(was, repeats=5), "begun with --repeats 2, and now it is --repeats 5"),
        (replace(was, words=("--requests", "50")), "begun with --requests 100, and now it is --requests 50"),
        (replace(was, words=()), "begun with --requests 100, and now it is no further options"),
        (
            replace(was, experiments=("latency", "memory")),
            "--experiments capacity, and now it is --experiments latency,m",
        ),
        (
            replace(was, topologies=("waitress",)),
            "begun with gunicorn-sync waitress flask-threaded, and now it is waitr",
        ),
    ):
        with pytest.raises(LabError, match=message):
            campaigns.require_as_typed(was, other)


def test_another_machine_or_plan_is_refused() -> None:
    """After a new kernel, or with a topology's file changed, the repeats would not be of the same thing."""
    machine = host.fingerprint()
    was = replace(campaign(), host=machine, plans={"waitress": {"THREADS": "4", "BACKLOG": "1024"}})
    campaigns.require_same(was, was)
    campaigns.require_same(was, replace(was, host=replace(machine, memory_bytes=machine.memory_bytes - 2**20)))
    with pytest.raises(LabError, match=r"kernel was .* and is 9\.9\.9\. Begin another one"):
        campaigns.require_same(was, replace(was, host=replace(machine, kernel="9.9.9")))
    with pytest.raises(LabError, match="waitress: threads was 4 and is 8"):
        campaigns.require_same(was, replace(was, plans={"waitress": {"THREADS": "8", "BACKLOG": "1024"}}))


def test_time_left_is_the_median_of_each_experiment() -> None:
    """What is left counts by what its own experiment took so far; one that had no turn yet like the others."""
    names = ("capacity", "latency")
    both = replace(campaign(), experiments=names, cells=campaigns.order(NAMES, names, 2, seed=1))
    with campaigns.begun(campaign("short", repeats=1)) as folder:
        of_fake = next(result for _, result in measured(folder))
    assert isinstance(of_fake, Run)
    folder = Folder(Path("nowhere"), both)
    left = TimeLeft(folder)
    assert left.seconds() is None
    for number, seconds in enumerate((2.0, 90.0, 4.0)):
        folder.results[Cell("capacity", NAMES[number], 1)] = replace(of_fake, seconds=seconds)
    assert left.seconds() == 9 * 4.0
    folder.results[Cell("latency", NAMES[0], 1)] = replace(of_fake, seconds=20.0)
    folder.results[Cell("latency", NAMES[1], 1)] = NotRun("latency", NAMES[1], "process", "died", "again", failed=True)
    assert left.seconds() == 3 * 4.0 + 5 * 20.0


def test_the_calibration_is_kept() -> None:
    """What the instrument itself can do is stored when it is known, and is there when the campaign goes on."""
    known = Calibration(90_000, 0.01, 20_000, 0.05, 9_000)
    with campaigns.begun(campaign()) as folder:
        folder.change(calibration=known)
    with campaigns.resumed("night") as folder:
        assert folder.campaign.calibration == known


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--experiments", "latncy"], '--experiments: there is no "latncy" to compare.'),
        (["waitress", "nginx-nowhere", "--repeats", "1"], 'There is no topology "nginx-nowhere"'),
        (["--experiments", ","], '--experiments: there is no "" to compare.'),
        (["waitress", "--repeats", "2", "--baseline", "uwsgi-threads"],
         "--baseline uwsgi-threads is not measured here. Name it among the topologies, or choose another."),
        (["--experiments", "capacity", "--rates", "100"],
         "--rates is for latency. Measure one of them (--experiments), or leave it out."),
        (["--experiments", "latency", "--work", "io:20,cpu:5"],
         "--work names several, and latency takes one kind at a time. Name one, or leave latency out."),
        (["--work", "io:20"], "--work is for throughput, latency, overload. Measure one of them (--experiments), or"),
        (["--experiments", "latency", "--work", "oi:20"], '"oi:20" is no work. There are greeting, io, '),
        (["--resume"], "No campaign in "),
        (["--resume", "night", "--name", "day"], "--resume night and --name day: these are two campaigns."),
        (["--resume", "--hosts", str(paths.HOME / "ansible/inventory/local.yml")],
         "--experiments and --repeats measure on this machine only."),
    ],
)  # fmt: skip
def test_a_wrong_command_line_touches_nothing(words: list[str], message: str) -> None:
    """A campaign that can't be is refused in one line, before there is anything of it."""
    with pytest.raises(LabError) as caught:
        cli.main(["compare", *words, "--runtime", "process"], standalone_mode=False)
    assert str(caught.value).startswith(message)
    assert not paths.RESULTS.exists()


def test_campaign_json_is_readable_and_versioned() -> None:
    """The document says its format, so that a later version can tell."""
    with campaigns.begun(campaign()) as folder:
        document = json.loads((folder.path / "campaign.json").read_text())
    assert (document["format"], document["name"], document["words"]) == (1, "night", ["--requests", "100"])


def test_further_options_are_kept_as_typed_and_read_again() -> None:
    """What is told to the experiments under load is in campaign.json word by word, and gives the same options again."""
    typed = (
        "--set", "threads=2", "--set", "backlog=16", "--requests", "50", "--work", "cpu:11.5", "--rates", "0.5x,40",
        "--arrivals", "poisson", "--seconds", "0.5", "--keepalive", "off",
    )  # fmt: skip
    context = repeating.further.make_context("compare", list(typed))
    assert set(repeating.words(context)) == set(typed)
    wanted, load = repeating.read(repeating.words(context))
    assert (wanted.sets, wanted.requests) == (("threads=2", "backlog=16"), 50)
    assert load == {
        "works": (Work("cpu", cpu_ms=11.5),), "rates": (Rate(0.5, of_ceiling=True), Rate(40.0)), "arrivals": "poisson",
        "seconds": 0.5, "keepalive": False,
    }  # fmt: skip


def test_samples_are_kept_beside_their_cell() -> None:
    """What became of each request stands beside the cell's run, and nothing of one cell gets into the next."""

    def measure(runtime: Runtime, plan: Plan, on_event: OnEvent, terms: Terms) -> Run:
        terms.kept.extend([raw_lap()] if plan.name == "waitress" else [])
        return capacity(runtime, plan, on_event)

    with campaigns.begun(campaign(repeats=1)) as folder:
        measured(folder, measures={"capacity": measure})
    assert [path.name for path in folder.path.glob("*.npz")] == ["capacity-waitress-1.samples.npz"]
    [(_offered, seen)] = samples.read(folder.path / "capacity-waitress-1.samples.npz")
    assert list(seen.status) == [200, 503, 0]


def test_what_is_to_be_measured_again_is_not_finished() -> None:
    """A campaign whose second attempts were broken off is the newest unfinished one, and goes on with those."""
    only = replace(
        campaign(repeats=1, topologies=("waitress",)), cells=("throughput/waitress/1",), experiments=("throughput",)
    )
    busy = Finding("machine_busy", "greeting: others")
    with campaigns.begun(only) as folder:
        folder.store(Cell("throughput", "waitress", 1), replace(loaded.throughput("waitress", 1.0), findings=(busy,)))
    assert campaigns.latest(2, silent) == "night"
    with pytest.raises(LabError, match="is unfinished"):
        campaigns.latest(1, silent)


@pytest.mark.parametrize(
    ("busy", "attempts", "kept"),
    [([2, 0], 2, 1), ([2, 1], 2, 1), ([1, 1], 2, 0), ([1, 2], 2, 0), ([0], 2, 0), ([1], 1, 0), ([2, 1, 0], 3, 2),
     ([1, 0], 3, 1)],
)  # fmt: skip
def test_a_busy_machine_is_measured_on_again(busy: list[int], attempts: int, kept: int) -> None:
    """At the end, and only for that; the run with fewer disturbed laps stays, with its own samples."""
    calls: list[int] = []
    only = replace(
        campaign(repeats=1, topologies=("waitress",)), cells=("throughput/waitress/1",), experiments=("throughput",)
    )

    def measure(_runtime: Runtime, _plan: Plan, _on_event: OnEvent, terms: Terms) -> Run:
        found = tuple(Finding("machine_busy", f"lap {lap}: others") for lap in range(busy[len(calls)]))
        calls.append(len(calls))
        raw = raw_lap()
        terms.kept.append(replace(raw, offered=replace(raw.offered, label=f"attempt {calls[-1]}")))
        return replace(loaded.throughput("waitress", 100.0), findings=found, command=f"attempt {calls[-1]}")

    with campaigns.begun(only) as folder:
        found = list(run(
            folder, FakeRuntime({"waitress": SEEN}), {"throughput": measure},
            {("throughput", "waitress"): resolve(Catalog(), "waitress")}, Terms(), say=lambda _: None,
            on_start=lambda *_: None, on_event=lambda _: None, attempts=attempts,
        ))  # fmt: skip
    assert (len(calls), len(found)) == (len(busy), len(busy))
    [stored] = store.load([folder.path]).of(ThroughputRun)
    assert (stored.attempts, stored.command) == (len(busy), f"attempt {kept}")
    [(offered, _seen)] = samples.read(folder.path / "throughput-waitress-1.samples.npz")
    assert offered.label == f"attempt {kept}"


@pytest.mark.parametrize(("busy", "again"), [("bbbb", 3), ("bqbbb", 5), ("qqbbbb", 5), ("bbb", 3)])
def test_a_machine_that_stays_busy_is_left_alone(busy: str, again: int) -> None:
    """After three cells in a row of no use it is said how the others can be had; a quiet one between them counts."""
    names = Catalog().names[: len(busy)]
    only = replace(
        campaign(repeats=1, topologies=names), cells=tuple(f"throughput/{name}/1" for name in names),
        experiments=("throughput",),
    )  # fmt: skip
    others = Finding("machine_busy", "greeting: others")
    said: list[str] = []

    def measure(_runtime: Runtime, plan: Plan, _on_event: OnEvent, _terms: Terms) -> Run:
        still = busy[names.index(plan.name)] == "b"
        return replace(loaded.throughput(plan.name, 1.0), findings=(others,) if still else ())

    with campaigns.begun(only) as folder:
        for name in names:
            folder.store(Cell("throughput", name, 1), replace(loaded.throughput(name, 1.0), findings=(others,)))
        plans = {("throughput", name): resolve(Catalog(), name) for name in names}
        found = list(run(
            folder, FakeRuntime({}), {"throughput": measure}, plans, Terms(), say=said.append,
            on_start=lambda *_: None, on_event=lambda _: None, attempts=2,
        ))  # fmt: skip
        assert len(found) == again
        left = len(busy) - again
        assert len(folder.disturbed(2)) == left
    assert sum("--resume" in line for line in said) == (1 if left else 0)


def test_what_most_repeats_are_not_disturbed_in_is_not_measured_again() -> None:
    """One busy repeat of three says nothing against their median; of two busy ones the first undisturbed is enough."""
    names = ("throughput/waitress/{}", "memory/waitress/{}", "throughput/gunicorn-sync/{}")
    cells = tuple(name.format(repeat) for name in names for repeat in (1, 2, 3))
    only = replace(campaign(repeats=3), cells=cells, experiments=("throughput", "memory"))
    busy = Finding("machine_busy", "greeting: others")
    measured_again: list[str] = []

    def measure(_runtime: Runtime, plan: Plan, _on_event: OnEvent, _terms: Terms) -> Run:
        return loaded.throughput(plan.name, 2.0)

    with campaigns.begun(only) as folder:
        for cell in map(Cell.named, cells):
            disturbed = cell.topology == "waitress" and cell.repeat in ((1,) if cell.experiment == "memory" else (1, 3))
            findings = (busy,) if disturbed else ()
            made = (
                loaded.memory("waitress", 1) if cell.experiment == "memory" else loaded.throughput(cell.topology, 1.0)
            )
            folder.store(cell, replace(made, repeat=cell.repeat, findings=findings))
        assert {str(cell) for cell in folder.disturbed(2)} == {"throughput/waitress/1", "throughput/waitress/3"}
        assert folder.disturbed(1) == []
        plans = {(e, t): resolve(Catalog(), t) for e in ("throughput", "memory") for t in ("waitress", "gunicorn-sync")}
        found = run(
            folder, FakeRuntime({"waitress": SEEN}), {"throughput": measure}, plans, Terms(), say=lambda _: None,
            on_start=lambda cell, *_: measured_again.append(str(cell)), on_event=lambda _: None, attempts=2,
        )  # fmt: skip
        assert len(list(found)) == len(measured_again) == 1
        assert folder.disturbed(2) == []
