"""What threads help, and who is faster."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from topolab.claims import Figure, Figures
from topolab.doubts import FULL
from topolab.errors import LabError
from topolab.experiments import asking
from topolab.experiments.bench import Bench
from topolab.experiments.claims.claim import CONDITION, FALSE, TRUE, UNCHECKED, Claim, Judged, here
from topolab.experiments.stand import Stand
from topolab.loads import Lap, Offered, Work
from topolab.samples import lap_of

WORK = {"io": "/sleep?seconds=0.3", "cpu": "/cpu?ms=150"}
STACKS = {
    "1_thread": ("gunicorn-gthread", "workers=1", "threads=1"),
    "4_threads": ("gunicorn-gthread", "workers=1", "threads=4"),
    "2_processes": ("gunicorn-sync", "workers=2"),
}
TURNS = 3
GAIN, NO_GAIN = 1.8, 1.25  # of four threads; measured gains between them are half a help


def _threads(bench: Bench) -> dict[str, Figure]:
    """How long eight requests take: medians of turns. Two processes show whether a gain was possible."""
    taken: dict[str, list[float]] = {}
    for key, (name, *sets) in STACKS.items():
        with bench.up(name, *sets) as stack:
            asking.processes(stack.port, 2 if key == "2_processes" else 1)
            for turn in range(TURNS):
                bench.tell(key.replace("_", " "), turn + 1, TURNS)
                for kind, path in WORK.items():
                    taken.setdefault(f"{kind}_{key}", []).append(asking.elapsed(stack.port, path, 8))
    medians = {what: statistics.median(values) for what, values in taken.items()}
    figures: dict[str, Figure] = {f"{what}_s": round(value, 2) for what, value in medians.items()}
    for kind in WORK:
        for key in ("4_threads", "2_processes"):
            gain = medians[f"{kind}_1_thread"] / medians[f"{kind}_{key}"]
            figures[f"{kind}_gain_of_{key}"] = round(gain, 2)
    return figures


def _judge_threads(figures: Figures) -> Judged:
    io, cpu, processes = (
        float(figures[key]) for key in ("io_gain_of_4_threads", "cpu_gain_of_4_threads", "cpu_gain_of_2_processes")
    )
    said = (
        f"Four threads do eight sleeping requests {io:g} times as fast as one, and eight that compute {cpu:g} times; "
        f"two processes compute {processes:g} times as fast."
    )
    if io < GAIN or cpu >= GAIN:
        return FALSE, said
    if cpu >= NO_GAIN:
        return CONDITION, f"{said} They help computing a little."
    if processes < NO_GAIN:
        return UNCHECKED, f"{said} Nothing could have helped computing: the machine has no core to spare."
    return TRUE, said


ROUNDS, ROUND_S, WARMUP_S, CLIENTS = 9, 0.6, 0.1, 16
SLIGHTLY = 0.25
PAIRS = {
    "threads": (("uwsgi-threads", "threads=10"), ("gunicorn-gthread", "threads=10")),
    "processes": (("uwsgi-processes", "processes=4", "threads=1"), ("gunicorn-sync", "workers=4")),
}
VIEWS = {"empty": (Work(), "an empty view"), "5_ms": (Work("cpu", cpu_ms=5.0), "a view that computes for 5 ms")}
RACES = tuple(f"{kind}_{view}" for kind in PAIRS for view in VIEWS)


def _speed(bench: Bench) -> dict[str, Figure]:
    """Plateaus of the load engine, a connection for each request; all servers on one CPU, the engine on another.

    In turns, and each time the other one first, so that what else the machine does meets both.
    """
    figures: dict[str, Figure] = {"rounds": ROUNDS}
    for kind, (one, other) in PAIRS.items():
        with bench.on_stand(*one) as uwsgi, bench.on_stand(*other) as gunicorn:
            stands = {"uwsgi": uwsgi, "gunicorn": gunicorn}
            for view, (work, _) in VIEWS.items():
                laps: dict[str, list[Lap]] = {name: [] for name in stands}
                for number in range(ROUNDS):
                    bench.tell(f"{kind}, {view.replace('_', ' ')}", number + 1, ROUNDS)
                    for name in sorted(stands, reverse=bool(number % 2)):
                        laps[name].append(_plateau(stands[name], work))
                for name, seen in laps.items():
                    figures |= {f"{kind}_{view}_{name}_{what}": value for what, value in _of(seen).items()}
    return figures


def _plateau(stand: Stand, work: Work) -> Lap:
    offered = Offered(
        work, "closed", ROUND_S, connections=CLIENTS, keepalive=False, warmup_s=WARMUP_S, label=stand.plan.name
    )
    [raw] = stand.load([offered])
    lap = lap_of(raw)
    if lap.good != lap.requests:
        raise LabError(f"{stand.plan.name}: {lap.requests - lap.good} of {lap.requests} requests got no good answer.")
    return lap


def _of(laps: Sequence[Lap]) -> dict[str, Figure]:
    """Requests/s with their interval, and how busy the server's and the engine's CPU were in most rounds."""
    rates = [lap.achieved for lap in laps]
    low, high = interval(rates)
    server = statistics.median((lap.machine.server_cpu_s or 0.0) / lap.machine.wall_s for lap in laps)
    engine = statistics.median(lap.instrument.cpu_share for lap in laps)
    return {
        "per_s": round(statistics.median(rates)),
        "low": round(low),
        "high": round(high),
        "busy": round(server, 2),
        "engine": round(engine, 2),
    }


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The second and the last but one: of nine values, a 96 % interval of their median."""
    ordered = sorted(values)
    return ordered[1], ordered[-2]


def _judge_speed(figures: Figures) -> Judged:
    """By how much uWSGI is ahead in each race; 0 where the intervals overlap. Only servers that were full count."""
    idle = [
        f"{name} in {race.replace('_', ' ')} ({float(figures[f'{race}_{name}_busy']):.0%})"
        for race in RACES
        for name in ("uwsgi", "gunicorn")
        if float(figures[f"{race}_{name}_busy"]) < FULL
    ]
    if idle:
        return UNCHECKED, f"Something else than the server was the limit of {', '.join(idle)}: its CPU was not full."
    ahead = {}
    for race in RACES:
        low, high, its, other_low, other_high, others = (
            float(figures[f"{race}_{name}_{what}"])
            for name in ("uwsgi", "gunicorn")
            for what in ("low", "high", "per_s")
        )
        ahead[race] = its / others - 1 if low > other_high or high < other_low else 0.0
    parts = []
    for view, (_, name) in VIEWS.items():
        each = []
        for kind in PAIRS:
            race = f"{kind}_{view}"
            how = f"{ahead[race]:+.0%}" if ahead[race] else "no difference"
            rates = " and ".join(str(figures[f"{race}_{server}_per_s"]) for server in ("uwsgi", "gunicorn"))
            each.append(f"{how} in {kind} ({rates} per second)")
        parts.append(f"with {name} {', '.join(each)}")
    reason = f"uWSGI against gunicorn with as many threads or processes: {'; '.join(parts)}."
    if not any(more > 0 for more in ahead.values()):
        return FALSE, reason
    slightly = all(0 < more <= SLIGHTLY for more in ahead.values())
    return (TRUE if slightly else CONDITION), reason


CLAIMS = (
    Claim(
        "threads-help-io", "Threads help requests that wait, and not those that compute.",
        "CPython's global interpreter lock", here("gunicorn-gthread", "gunicorn-sync"), _threads, _judge_threads,
    ),
    Claim(
        "uwsgi-faster", "uWSGI is slightly faster than gunicorn.",
        "uWSGI speaks HTTP in C; gunicorn/http/ does so in Python, in the time of the same interpreter's lock",
        here("uwsgi-threads", "uwsgi-processes", "gunicorn-gthread", "gunicorn-sync"), _speed, _judge_speed,
    ),
)  # fmt: skip
