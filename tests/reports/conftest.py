"""A comparison of ten runs, as one machine with two cores would give it, and one topology that was not run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from tests.reports.synthetic import HOST, SERVERS, changes, runs_of
from topolab import paths, store
from topolab.comparison import Comparison
from topolab.ledger import Ledger, PlaceCount, Spot
from topolab.results import (
    AfterRelease,
    Asked,
    CapacityRun,
    Finding,
    InstrumentReport,
    ListenerQueue,
    Measured,
    NotRun,
    Prediction,
    SettingValue,
)

HANDLER: Spot = ("app", "handler")
WAITING: Spot = ("app", "waiting")
QUEUE: Spot = ("app", "accept_queue")
UNANSWERED: Spot = ("client", "unanswered")

INSTRUMENT = InstrumentReport(
    rate_asked=2000.0,
    rate_got=1998.4,
    lateness_p99_s=0.0004,
    lateness_max_s=0.0021,
    cpu_s=0.41,
    memory_bytes=46 * 2**20,
    descriptor_limit=20000,
    descriptors_short=0,
    seconds_to_rest=1.2,
    at_rest=True,
    processes_asked=1,
    processes_seen=1,
)


@dataclass(frozen=True)
class Case:
    """What a sample run is made from; measured is as predicted unless given."""

    topology: str
    predicted: dict[Spot, int]
    bound_by: str | None
    server: str
    backlog: int
    measured: dict[Spot, int] = field(default_factory=dict)
    next_limit: str = "nofile"
    settings: dict[str, SettingValue] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    plan: dict[str, str] = field(default_factory=dict)


CASES = (
    Case("flask-threaded", {HANDLER: 1000}, None, "werkzeug", 128),
    Case("flask-single", {HANDLER: 1, QUEUE: 129, UNANSWERED: 870}, "threaded", "werkzeug", 128),
    Case("flask-forking", {HANDLER: 100, QUEUE: 129, UNANSWERED: 771}, "processes", "werkzeug", 128),
    Case("uwsgi-threads", {HANDLER: 10, QUEUE: 101, UNANSWERED: 889}, "threads", "uwsgi", 100),
    Case("gunicorn-sync", {HANDLER: 4, QUEUE: 996}, "workers", "gunicorn", 2048),
    Case("gunicorn-gthread", {HANDLER: 10, WAITING: 990}, "threads", "gunicorn", 2048),
    Case("gunicorn-gevent", {HANDLER: 1000}, None, "gunicorn", 2048, next_limit="worker_connections"),
    Case(
        "nginx-gunicorn-sync",
        {HANDLER: 4, QUEUE: 996},
        "workers",
        "gunicorn",
        2048,
        plan={"FRONT_SERVER": "nginx", "FRONT_WORKER_CONNECTIONS": "4096"},
    ),
    Case(
        "gunicorn-gthread",
        {HANDLER: 1000},
        None,
        "gunicorn",
        2048,
        measured={HANDLER: 873, WAITING: 127},
        next_limit="threads",
        settings={"workers": 4, "threads": 250},
    ),
    Case(
        "uwsgi-threads",
        {HANDLER: 10, QUEUE: 990},
        "threads",
        "uwsgi",
        1024,
        measured={HANDLER: 10, QUEUE: 985, UNANSWERED: 2},
        settings={"listen": 1024},
        findings=(
            Finding("unbalanced", "997 of 1,000 requests were placed. Run it again; if 3 are missing again, tell us."),
            Finding(
                "prediction_differs",
                "accept queue: predicted 990, measured 985. Compare Send-Q with listen: somaxconn may be lower.",
            ),
        ),
    ),
)

NOT_RUN = NotRun(
    "capacity",
    "nginx-uwsgi",
    "process",
    reason="nginx is not installed on this machine.",
    remedy="sudo apt-get install nginx-light",
)


def make_run(case: Case) -> CapacityRun:
    """The run of a case, one second after another by its place in the list."""
    measured = Ledger.of(case.measured or case.predicted)
    queued, unanswered = measured.at(*QUEUE).count, measured.at(*UNANSWERED).count
    changes = "".join(f" --set {name}={value}" for name, value in case.settings.items())
    processes = 4 if "sync" in case.topology or case.settings.get("workers") == 4 else 1
    return CapacityRun(
        experiment="capacity",
        topology=case.topology,
        runtime="process",
        asked=Asked(requests=1000, settings=case.settings, limits={}),
        predicted=Prediction(Ledger.of(case.predicted).places, case.bound_by, case.next_limit),
        measured=Measured(
            measured.places,
            (ListenerQueue("app", "127.0.0.1:8000", queued, case.backlog, queued),),
        ),
        after_release=AfterRelease(measured.total - unanswered, 0, unanswered, 1.9),
        verdict="SUSPECT" if case.findings else "VALID",
        findings=case.findings,
        instrument=replace(INSTRUMENT, processes_asked=processes, processes_seen=processes),
        plan={"TOPOLOGY": case.topology, "SERVER": case.server, "BACKLOG": str(case.backlog), "NOFILE": "16384"}
        | {name.upper(): str(value) for name, value in case.settings.items()}
        | case.plan,
        host=HOST,
        versions={"flask": "3.1.3", case.server: {"gunicorn": "27.0.1", "uwsgi": "2.0.31"}.get(case.server, "3.1.9")}
        | ({"nginx": "1.22.1"} if case.plan else {}),
        command=f"topolab capacity {case.topology} --runtime process --requests 1000{changes}",
        started=f"2026-11-20T08:30:{10 + CASES.index(case):02d}Z",
        seconds=3.1,
    )


def bounded(run: CapacityRun) -> CapacityRun:
    """The run of a server that is itself random: the model gives bounds and the reason."""
    places = (PlaceCount("app", "handler", 1000, 600, 1000), PlaceCount("app", "waiting", 0, 0, 400))
    because = "Each worker accepts for itself, so one can be full while threads idle in another."
    return replace(run, predicted=replace(run.predicted, places=places, because=because))


@pytest.fixture(scope="session")
def comparison() -> Comparison:
    """Ten runs: one SUSPECT with findings, one with bounds; and one topology not run."""
    runs = [make_run(case) for case in CASES]
    runs[8] = bounded(runs[8])
    return Comparison(tuple(runs), (NOT_RUN,))


@pytest.fixture(scope="session")
def everything(comparison: Comparison) -> Comparison:
    """Those ten; two repeats under load of six topologies; what is stored in docs of behaviours and claims; changes."""
    loads = [run for repeat in (1, 2) for server in SERVERS for run in runs_of(server, repeat=repeat)]
    stored = store.load([*sorted((paths.HOME / "docs/behaviours").glob("*.json")), paths.HOME / "docs/claims.json"])
    others = [replace(run, runtime="process") for run in stored.others]  # the pages are of both runtimes
    return replace(comparison, others=(*loads, *others), claims=stored.claims, changes=changes())
