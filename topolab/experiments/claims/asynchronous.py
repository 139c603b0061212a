"""What `async def` views gain, and what they fail at."""

from __future__ import annotations

import time
from collections.abc import Callable

from topolab.claims import Figure, Figures
from topolab.experiments import asking
from topolab.experiments.bench import Bench, Stood
from topolab.experiments.claims.claim import CONDITION, FALSE, TRUE, UNCHECKED, Claim, Judged, here, places


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
    return {**places(stood), **_log(stood, "can't start new thread"), "nproc": 100, "plain": plain.at("handler")}


def _async_descriptors(bench: Bench) -> dict[str, Figure]:
    stood = bench.capacity("flask-threaded", "nofile=256", requests=300, route="async")
    plain = bench.capacity("flask-threaded", "nofile=256", requests=300)
    return {**places(stood), **_log(stood, "Too many open files"), "nofile": 256, "plain": plain.at("handler")}


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


def _log(stood: Stood, words: str) -> dict[str, Figure]:
    return {"logged": sum(words in line for line in stood.log.splitlines())}


CLAIMS = (
    Claim(
        "async-pool", "Each request to an async view makes a new pool of a single thread.",
        "flask/app.py:1001; asgiref/sync.py:363", here("flask-threaded", "uwsgi-threads"), _async_pool,
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
        here("flask-threaded"), _async_descriptors,
        _judge_async_limit("nofile", "Too many open files"),
    ),
    Claim(
        "async-uwsgi", "Async views gain nothing under uWSGI.",
        "flask/app.py:1001: the handler waits for its async view",
        here("uwsgi-threads"), _async_uwsgi, _judge_async_uwsgi,
    ),
    Claim(
        "await", "In an async view `await` changes nothing: no other request runs meanwhile in its thread.",
        "asgiref/sync.py:261: the calling thread waits until the coroutine is done",
        here("uwsgi-threads"), _await, _judge_await,
    ),
)  # fmt: skip
