"""Claims: what the articles that this project starts from found. Is it so with today's releases?

Each claim measures figures, and judges them; a verdict never comes from anything else. What the articles' words leave
open is in `text`.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from topolab.claims import Checked, Figure, Figures, Held
from topolab.errors import LabError
from topolab.experiments import asking
from topolab.experiments.bench import Bench, Stood
from topolab.experiments.identity import unit_of
from topolab.runtimes.base import RuntimeName

Judged = tuple[Held, str]  # a verdict, and the reason in one or two sentences
TRUE: Held = "still true"
FALSE: Held = "no longer true"
CONDITION: Held = "true with a condition"
UNCHECKED: Held = "not checked"
HOLD_S = 2.0  # for those outside a full queue to hear something


@dataclass(frozen=True, slots=True)
class Claim:
    """One finding: what was said, where its cause is, what to measure, and what to make of that."""

    name: str
    text: str
    source: str
    needs: tuple[tuple[RuntimeName, str], ...]  # topologies that it brings up, and where
    measure: Callable[[Bench], dict[str, Figure]]
    judge: Callable[[Figures], Judged]


def check(claim: Claim, bench: Bench) -> Checked:
    """Measures and judges. What fails is `not checked`, with the reason."""
    began = time.monotonic()
    bench.begin()
    figures: dict[str, Figure] = {}
    try:
        figures = claim.measure(bench)
        verdict, reason = claim.judge(figures)
    except LabError as error:
        verdict, reason = UNCHECKED, " ".join([str(error), *error.details])
    seconds = round(time.monotonic() - began, 1)
    return Checked(
        claim.name, claim.text, claim.source, verdict, figures, reason, seconds, bench.versions, tuple(bench.commands)
    )


def check_all(claims: Sequence[Claim], bench: Bench, on_start: Callable[[Claim, int], None]) -> Iterator[Checked]:
    """One after the other; each result at once."""
    for number, claim in enumerate(claims, 1):
        on_start(claim, number)
        yield check(claim, bench)


# In flight, and in the queue


def _descriptors(bench: Bench) -> dict[str, Figure]:
    asleep = bench.capacity("flask-threaded", "nofile=256", requests=300, route="sleep")
    calling = bench.capacity("flask-threaded", "nofile=256", requests=300)
    return {"nofile": 256, "asleep": asleep.at("handler"), "calling": calling.at("handler")}


def _judge_descriptors(figures: Figures) -> Judged:
    asleep, calling = figures["asleep"], figures["calling"]
    if asleep != 251:
        return FALSE, f"{asleep} views that sleep ran at once with 256 descriptors, not 251."
    if calling == 251:
        return TRUE, "251 views ran at once with 256 descriptors, asleep or calling a downstream service."
    return CONDITION, (
        f"251 views that sleep ran at once with 256 descriptors. Views that call a downstream service need one more "
        f"each: {calling}."
    )


def _thread_per_request(bench: Bench) -> dict[str, Figure]:
    seen = bench.identity("flask-threaded")
    return {
        "requests": seen.successive.answered + seen.concurrent.answered,
        "threads": seen.successive.units + seen.concurrent.units,
        "processes": max(seen.successive.processes, seen.concurrent.processes),
        "unit": unit_of(seen),
    }


def _judge_thread_per_request(figures: Figures) -> Judged:
    said = (
        f"{figures['requests']} requests were served by {figures['threads']} threads of {figures['processes']} process"
    )
    if figures["unit"] == "unknown":
        return UNCHECKED, "No request was answered."
    return (TRUE if figures["unit"] == "thread per request" else FALSE), f"{said}: {figures['unit']}."


def _one_at_a_time(bench: Bench) -> dict[str, Figure]:
    return _places(bench.capacity("flask-single", requests=200, hold_s=HOLD_S))


def _judge_one_at_a_time(figures: Figures) -> Judged:
    reason = (
        f"Of {figures['requests']} requests {figures['handler']} was in a view and {figures['queued']} were queued."
    )
    return (TRUE if figures["handler"] == 1 else FALSE), reason


def _forks(bench: Bench) -> dict[str, Figure]:
    hundred = bench.capacity("flask-forking", "processes=100", requests=300)
    ten = bench.capacity("flask-forking", "processes=10", requests=200)
    return {
        "handler_100": hundred.at("handler"),
        "queued_100": hundred.at("accept_queue"),
        "handler_10": ten.at("handler"),
        "queued_10": ten.at("accept_queue"),
        "listeners": hundred.listeners,
    }


def _judge_forks(figures: Figures) -> Judged:
    said = (
        f"processes=100 serves {figures['handler_100']} and queues {figures['queued_100']}; processes=10 serves "
        f"{figures['handler_10']} and queues {figures['queued_10']}, in {figures['listeners']} accept queue."
    )
    if (figures["handler_100"], figures["handler_10"]) != (100, 10):
        return FALSE, said
    if figures["listeners"] != 1:
        return FALSE, f"{said} The processes do not share one."
    if {figures["queued_100"], figures["queued_10"]} <= {128, 129}:
        return TRUE, f"{said} The kernel keeps one more than the 128 that are asked for."
    return CONDITION, f"{said} The queue is another than 128 or 129."


def _fork_per_request(bench: Bench) -> dict[str, Figure]:
    seen = bench.identity("flask-forking")
    return {
        "requests": seen.successive.answered,
        "processes": seen.successive.processes,
        "requests_at_once": seen.concurrent.answered,
        "processes_at_once": seen.concurrent.processes,
    }


def _judge_fork_per_request(figures: Figures) -> Judged:
    if not figures["requests"] or not figures["requests_at_once"]:
        return UNCHECKED, "No request was answered."
    said = (
        f"{figures['requests']} requests one by one were served by {figures['processes']} processes, "
        f"{figures['requests_at_once']} at once by {figures['processes_at_once']}."
    )
    each = figures["requests"] == figures["processes"] and figures["requests_at_once"] == figures["processes_at_once"]
    return (TRUE if each else FALSE), said


def _uwsgi(bench: Bench) -> dict[str, Figure]:
    socket = bench.capacity("uwsgi-threads", requests=300)
    router = bench.capacity("uwsgi-http", requests=300)
    seen = bench.identity("uwsgi-threads")
    return {
        "handler": socket.at("handler"),
        "queued": socket.at("accept_queue", "waiting"),
        "unanswered": socket.at("unanswered"),
        "router_handler": router.at("handler"),
        "router_queued": router.at("accept_queue", "waiting", "connecting"),
        "router_unanswered": router.at("unanswered"),
        "served": seen.successive.answered + seen.concurrent.answered,
        "threads": max(seen.successive.units, seen.concurrent.units),
    }


def _judge_uwsgi(figures: Figures) -> Judged:
    said = (
        f"With --http {figures['router_handler']} of 300 are served and {figures['router_queued']} queued, with "
        f"--http-socket {figures['handler']} and {figures['queued']}. {figures['threads']} threads served "
        f"{figures['served']} requests."
    )
    if (figures["handler"], figures["router_handler"]) != (10, 10) or figures["threads"] != 10:
        return FALSE, said
    if figures["unanswered"] or figures["router_unanswered"]:
        left = f"{figures['unanswered']} stay outside with --http-socket, {figures['router_unanswered']} with --http"
        return CONDITION, f"{said} Not all the rest is queued: {left}."
    return TRUE, said


def _gunicorn(bench: Bench) -> dict[str, Figure]:
    return _places(bench.capacity("gunicorn-sync", "workers=4", requests=100))


def _judge_gunicorn(figures: Figures) -> Judged:
    reason = f"Of {figures['requests']} requests {figures['handler']} were in a view and {figures['queued']} queued."
    return (TRUE if figures["handler"] == 4 else FALSE), reason


FULL = (("flask-single", (), 200, HOLD_S), ("uwsgi-threads", (), 300, 0.0), ("gunicorn-sync", ("backlog=16",), 60, 0.0))


def _full_queue(bench: Bench) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for name, sets, requests, hold_s in FULL:
        stood = bench.capacity(name, *sets, requests=requests, hold_s=hold_s)
        figures[f"{name}_unanswered"] = stood.at("unanswered")
        figures[f"{name}_refused"] = stood.at("refused", "reset", "error")
        if hold_s:
            silent = [end for end in stood.run.held if end.what == "unanswered" and end.fate == "silence"]
            figures["silent"] = sum(end.count for end in silent)
            figures["silent_s"] = round(min((end.first_s for end in silent), default=0.0), 1)
    return figures


def _judge_full_queue(figures: Figures) -> Judged:
    names = [name for name, *_ in FULL]
    outside = {name: figures[f"{name}_unanswered"] for name in names}
    refused = {name: figures[f"{name}_refused"] for name in names if figures[f"{name}_refused"]}
    if refused:
        told = ", ".join(f"{count} by {name}" for name, count in refused.items())
        return (CONDITION if len(refused) < len(names) else FALSE), f"Turned away at once: {told}."
    if not all(outside.values()):
        return UNCHECKED, "A queue was never full: nobody was outside."
    counts = ", ".join(f"{count} at {name}" for name, count in outside.items())
    if not figures["silent"]:
        return FALSE, f"Those outside full queues ({counts}) had an end within {HOLD_S:g} s."
    return TRUE, (
        f"Of those outside full queues ({counts}) nobody was refused: their handshakes stay unanswered ("
        f"{figures['silent']} had nothing yet after {figures['silent_s']} s, when the check stopped waiting)."
    )


def _dead_work(bench: Bench) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for name in ("flask-single", "uwsgi-threads"):
        seen = bench.dead_work(name, requests=100)
        queued = [place for place in seen.left if place.place in ("accept_queue", "waiting")]
        figures[f"{name}_left"] = sum(place.left for place in queued)
        figures[f"{name}_ran"] = sum(place.ran for place in queued)
    return figures


def _judge_dead_work(figures: Figures) -> Judged:
    names = ("flask-single", "uwsgi-threads")
    left, ran = (sum(int(figures[f"{name}_{what}"]) for name in names) for what in ("left", "ran"))
    said = " and ".join(f"{figures[f'{name}_ran']} of {figures[f'{name}_left']} at {name}" for name in names)
    reason = f"Of requests whose client hung up while they were queued ran {said}."
    if not left:
        return UNCHECKED, "No client left while its request was queued."
    return (TRUE if ran == left else CONDITION if ran else FALSE), reason


# async


def _async_pool(bench: Bench) -> dict[str, Figure]:
    """A pool's threads are named `ThreadPoolExecutor-<pool>_<thread>`."""
    figures: dict[str, Figure] = {}
    for key, name in (("flask", "flask-threaded"), ("uwsgi", "uwsgi-threads")):
        with bench.up(name) as stack:
            names = [str(asking.good(stack.port, "/async/whoami")["thread"]) for _ in range(10)]
        pools, _, threads = zip(*(thread.rpartition("_") for thread in names), strict=True)
        figures |= {
            f"{key}_requests": len(names),
            f"{key}_pools": len({pool for pool in pools if "Pool" in pool}),
            f"{key}_threads_of_a_pool": len(set(threads)),
            f"{key}_last_thread": names[-1],
        }
    return figures


def _judge_async_pool(figures: Figures) -> Judged:
    new = {key: figures[f"{key}_pools"] == figures[f"{key}_requests"] for key in ("flask", "uwsgi")}
    single = all(figures[f"{key}_threads_of_a_pool"] == 1 for key in new)
    said = (
        f"{figures['flask_requests']} requests to an async view ran in {figures['flask_pools']} pools under Flask's "
        f"own server (the last in {figures['flask_last_thread']}), in {figures['uwsgi_pools']} under uWSGI."
    )
    return (TRUE if all(new.values()) and single else CONDITION if any(new.values()) else FALSE), said


def _async_processes(bench: Bench) -> dict[str, Figure]:
    stood = bench.capacity("flask-threaded", "nproc=100", requests=300, route="async", runtime="compose")
    plain = bench.capacity("flask-threaded", "nproc=100", requests=300, runtime="compose")
    return {**_places(stood), **_log(stood, "can't start new thread"), "nproc": 100, "plain": plain.at("handler")}


def _async_descriptors(bench: Bench) -> dict[str, Figure]:
    stood = bench.capacity("flask-threaded", "nofile=256", requests=300, route="async")
    plain = bench.capacity("flask-threaded", "nofile=256", requests=300)
    return {**_places(stood), **_log(stood, "Too many open files"), "nofile": 256, "plain": plain.at("handler")}


def _judge_async_limit(limit: str, words: str) -> Callable[[Figures], Judged]:
    def judge(figures: Figures) -> Judged:
        said = (
            f"With {limit}={figures[limit]} {figures['handler']} of {figures['requests']} async views ran at once (of "
            f"plain ones {figures['plain']}), "
            f'{figures["failed"]} failed, and "{words}" was logged {figures["logged"]} times.'
        )
        if figures["handler"] == figures["requests"] or not (figures["failed"] or figures["logged"]):
            return FALSE, said
        return (TRUE if figures["logged"] else CONDITION), said

    return judge


def _async_uwsgi(bench: Bench) -> dict[str, Figure]:
    plain, coroutine = (bench.capacity("uwsgi-threads", requests=300, route=route) for route in ("gate", "async"))
    return {
        "plain": plain.at("handler"),
        "async": coroutine.at("handler"),
    }


def _judge_async_uwsgi(figures: Figures) -> Judged:
    said = f"uWSGI with 10 threads runs {figures['plain']} plain views at once and {figures['async']} async ones."
    return (TRUE if int(figures["async"]) <= int(figures["plain"]) else FALSE), said


AWAITED = (("plain", "/whoami?ms=200"), ("block", "/async/whoami?ms=200&how=block"), ("await", "/async/whoami?ms=200"))


def _await(bench: Bench) -> dict[str, Figure]:
    figures: dict[str, Figure] = {"requests": 30, "threads": 10}
    with bench.up("uwsgi-threads") as stack:
        for key, path in AWAITED:
            bench.tell(f"asking {key}")
            began = time.monotonic()
            replies = [reply.json for reply in asking.together(stack.port, [path] * 30) if reply.status == 200]
            figures[f"{key}_s"] = round(time.monotonic() - began, 2)
            figures[f"{key}_at_once"] = asking.most_at_once((one["began_ns"], one["ended_ns"]) for one in replies)
            figures[f"{key}_answered"] = len(replies)
    return figures


def _judge_await(figures: Figures) -> Judged:
    lost = [key for key, _ in AWAITED if figures[f"{key}_answered"] != figures["requests"]]
    if lost:
        return UNCHECKED, f"Not all were answered: {', '.join(lost)}."
    said = ", ".join(f"{figures[f'{key}_at_once']} ({figures[f'{key}_s']} s) {key}" for key, _ in AWAITED)
    reason = f"At once, of 30 views of 0.2 s in 10 threads: {said}."
    return (TRUE if int(figures["await_at_once"]) <= int(figures["threads"]) else FALSE), reason


# A crash, and what threads help


CRASH_REQUESTS, CRASH_ROUNDS, CRASH_TRIES = 24, 3, 60


def _crash(bench: Bench) -> dict[str, Figure]:
    """Rounds, until the process that is to crash and another one both have requests."""
    figures: dict[str, Figure] = {}
    with bench.up("gunicorn-gthread", "workers=2", "threads=40") as stack:
        for number in range(1, CRASH_ROUNDS + 1):
            bench.tell("crashing", number, CRASH_ROUNDS)
            figures = {**_crashed(stack.port), "rounds": number}
            if figures["lost"] and figures["answered"]:
                break
    return figures


def _crashed(port: int) -> dict[str, Figure]:
    before = asking.processes(port, 2)
    replies: list[asking.Reply] = []
    problems: list[LabError] = []

    def send() -> None:
        try:
            replies.extend(asking.together(port, ["/whoami?ms=2000"] * CRASH_REQUESTS))
        except LabError as error:
            problems.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.5)  # all are in a view by then
    pid = _fell(port, before)
    sender.join()
    if problems:
        raise problems[0]
    after = asking.processes(port, 2)
    served = {int(reply.json["pid"]) for reply in replies if reply.status == 200}
    return {
        "requests": len(replies),
        "lost": sum(reply.status == 0 for reply in replies),
        "answered": sum(reply.status == 200 for reply in replies),
        "answered_by_the_crashed": int(pid in served),
        "crashed_lives": int(pid in after),
        "others_live": len((before - {pid}) & after),
    }


def _fell(port: int, pids: Iterable[int]) -> int:
    """Crashes one of these processes, whichever takes the request first. Its pid."""
    for _ in range(CRASH_TRIES):
        pid = int(asking.good(port, "/healthz")["pid"])
        if pid in pids and asking.ask(port, f"/crash?pid={pid}").status == 0:
            return pid
    raise LabError(f"None of the processes took the request that was to crash it, {CRASH_TRIES} times.")


def _judge_crash(figures: Figures) -> Judged:
    said = (
        f"One of two worker processes crashed: {figures['lost']} of {figures['requests']} requests were lost with it, "
        f"{figures['answered']} were answered."
    )
    if figures["crashed_lives"] or figures["answered_by_the_crashed"]:
        return FALSE, f"{said} Threads of the crashed process went on."
    if not figures["others_live"]:
        return FALSE, f"{said} The other process ended as well."
    if not figures["lost"] or not figures["answered"]:
        return UNCHECKED, f"{said} All of them had gone to one process, so nothing can be told."
    return TRUE, f"{said} The other process lives on, and served all of those."


WORK = {"io": "/sleep?seconds=0.3", "cpu": "/cpu?ms=150"}
GAIN, NO_GAIN = 1.8, 1.25  # of four threads; measured gains between them are half a help


def _threads(bench: Bench) -> dict[str, Figure]:
    """Elapsed times of eight requests; of two each, the better one. Two processes show whether a gain was possible."""
    figures: dict[str, Figure] = {}
    stacks = {
        "1_thread": ("gunicorn-gthread", "workers=1", "threads=1"),
        "4_threads": ("gunicorn-gthread", "workers=1", "threads=4"),
        "2_processes": ("gunicorn-sync", "workers=2"),
    }
    for key, (name, *sets) in stacks.items():
        with bench.up(name, *sets) as stack:
            asking.processes(stack.port, 2 if key == "2_processes" else 1)
            for kind, path in WORK.items():
                bench.tell(f"{kind}, {key.replace('_', ' ')}")
                figures[f"{kind}_{key}_s"] = round(min(asking.elapsed(stack.port, path, 8) for _ in range(2)), 2)
    for kind in WORK:
        alone = float(figures[f"{kind}_1_thread_s"])
        figures[f"{kind}_gain_of_4_threads"] = round(alone / float(figures[f"{kind}_4_threads_s"]), 2)
        figures[f"{kind}_gain_of_2_processes"] = round(alone / float(figures[f"{kind}_2_processes_s"]), 2)
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


ROUNDS, ROUND_S, CLIENTS = 9, 0.6, 4
SLIGHTLY = 0.25
PAIRS = {
    "threads": (("uwsgi-threads", "threads=10"), ("gunicorn-gthread", "threads=10"), 1),
    "processes": (("uwsgi-processes", "processes=4", "threads=1"), ("gunicorn-sync", "workers=4"), 4),
}
VIEWS = {"empty": ("/healthz", "an empty view"), "5_ms": ("/cpu?ms=5", "a view that computes for 5 ms")}
RACES = tuple(f"{kind}_{view}" for kind in PAIRS for view in VIEWS)


def _speed(bench: Bench) -> dict[str, Figure]:
    """In turns, and each time the other one first, so that what else the machine does meets both."""
    figures: dict[str, Figure] = {"rounds": ROUNDS}
    for kind, (one, other, processes) in PAIRS.items():
        with bench.up(*one) as uwsgi, bench.up(*other) as gunicorn:
            ports = {"uwsgi": uwsgi.port, "gunicorn": gunicorn.port}
            for port in ports.values():
                asking.processes(port, processes)
                asking.per_second(port, "/healthz", clients=CLIENTS, seconds=ROUND_S)  # to warm up
            for view, (path, _) in VIEWS.items():
                rates: dict[str, list[float]] = {name: [] for name in ports}
                for number in range(ROUNDS):
                    bench.tell(f"{kind}, {view}", number + 1, ROUNDS)
                    for name in sorted(ports, reverse=bool(number % 2)):
                        got = asking.per_second(ports[name], path, clients=CLIENTS, seconds=ROUND_S)
                        rates[name].append(got)
                for name, values in rates.items():
                    low, high = interval(values)
                    said = {"per_s": statistics.median(values), "low": low, "high": high}
                    figures |= {f"{kind}_{view}_{name}_{what}": round(value) for what, value in said.items()}
    return figures


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The second and the last but one: of nine values, a 96 % interval of their median."""
    ordered = sorted(values)
    return ordered[1], ordered[-2]


def _judge_speed(figures: Figures) -> Judged:
    """By how much uWSGI is ahead in each race; 0 where the intervals overlap."""
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


# What the figures have in common


def _places(stood: Stood) -> dict[str, Figure]:
    return {
        "requests": stood.run.asked.requests,
        "handler": stood.at("handler"),
        "queued": stood.at("accept_queue", "waiting"),
        "unanswered": stood.at("unanswered"),
        "failed": stood.at("error", "reset", "refused"),
    }


def _log(stood: Stood, words: str) -> dict[str, Figure]:
    return {"logged": sum(words in line for line in stood.log.splitlines())}


def _here(*names: str) -> tuple[tuple[RuntimeName, str], ...]:
    return tuple(("process", name) for name in names)


CLAIMS = (
    Claim(
        "descriptors", "Flask's threaded server holds 251 requests in flight with 256 descriptors.",
        "werkzeug/serving.py:872: a thread and a descriptor for each request, and no other bound",
        _here("flask-threaded"), _descriptors, _judge_descriptors,
    ),
    Claim(
        "thread-per-request", "Flask's threaded server starts a new thread for each request.",
        "socketserver.py: ThreadingMixIn.process_request", _here("flask-threaded"), _thread_per_request,
        _judge_thread_per_request,
    ),
    Claim(
        "threaded-false", "With threaded=False Flask's server serves one request at a time.",
        "socketserver.py: BaseServer.serve_forever", _here("flask-single"), _one_at_a_time, _judge_one_at_a_time,
    ),
    Claim(
        "processes", "With processes=100 it serves 100 and queues 128 or 129, in one queue that all processes share.",
        "socketserver.py: ForkingMixIn; werkzeug/serving.py:82", _here("flask-forking"), _forks, _judge_forks,
    ),
    Claim(
        "fork-per-request", "With processes=100 it forks for each request.",
        "socketserver.py: ForkingMixIn.process_request", _here("flask-forking"), _fork_per_request,
        _judge_fork_per_request,
    ),
    Claim(
        "uwsgi", "uWSGI with 10 threads serves 10 requests, queues the rest and reuses its threads.",
        "uwsgi core/loop.c, plugins/http/http.c", _here("uwsgi-threads", "uwsgi-http"), _uwsgi, _judge_uwsgi,
    ),
    Claim(
        "async-pool", "Each request to an async view makes a new pool of a single thread.",
        "flask/app.py:1001; asgiref/sync.py:363", _here("flask-threaded", "uwsgi-threads"), _async_pool,
        _judge_async_pool,
    ),
    Claim(
        "async-process-limit", "Async views fail at the process limit: can't start new thread.",
        "asgiref/sync.py:363: a second thread for each request; setrlimit(2), RLIMIT_NPROC",
        (("compose", "flask-threaded"),), _async_processes,
        _judge_async_limit("nproc", "can't start new thread"),
    ),
    Claim(
        "async-descriptor-limit", "Async views fail at the descriptor limit: Too many open files.",
        "asgiref/sync.py:365: an event loop for each request, with an epoll and a socket pair of its own",
        _here("flask-threaded"), _async_descriptors,
        _judge_async_limit("nofile", "Too many open files"),
    ),
    Claim(
        "async-uwsgi", "Async views gain nothing under uWSGI.",
        "flask/app.py:1001: the handler waits for its async view",
        _here("uwsgi-threads"), _async_uwsgi, _judge_async_uwsgi,
    ),
    Claim(
        "await", "In an async view `await` changes nothing: no other request runs meanwhile in its thread.",
        "asgiref/sync.py:261: the calling thread waits until the coroutine is done",
        _here("uwsgi-threads"), _await, _judge_await,
    ),
    Claim(
        "dead-work", "Queued requests run after their client has gone.",
        "the kernel's accept queue keeps them; no server looks", _here("flask-single", "uwsgi-threads"), _dead_work,
        _judge_dead_work,
    ),
    Claim(
        "full-queue", "A full queue means a connect that times out, not one that is refused.",
        "listen(2); Linux net/ipv4/tcp_input.c: tcp_conn_request",
        _here("flask-single", "uwsgi-threads", "gunicorn-sync"), _full_queue, _judge_full_queue,
    ),
    Claim(
        "gunicorn-sync", "gunicorn -w 4 with sync workers serves 4 requests at a time.",
        "gunicorn/workers/sync.py", _here("gunicorn-sync"), _gunicorn, _judge_gunicorn,
    ),
    Claim(
        "crash", "A thread that crashes takes its process along, while other processes live.",
        "signal(7): a fatal signal ends all threads", _here("gunicorn-gthread"), _crash, _judge_crash,
    ),
    Claim(
        "threads-help-io", "Threads help requests that wait, and not those that compute.",
        "CPython's global interpreter lock", _here("gunicorn-gthread", "gunicorn-sync"), _threads, _judge_threads,
    ),
    Claim(
        "uwsgi-faster", "uWSGI is slightly faster than gunicorn.",
        "uWSGI speaks HTTP in C; gunicorn/http/ does so in Python, in the time of the same interpreter's lock",
        _here("uwsgi-threads", "uwsgi-processes", "gunicorn-gthread", "gunicorn-sync"), _speed, _judge_speed,
    ),
)  # fmt: skip
