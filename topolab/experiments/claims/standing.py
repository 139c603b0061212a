"""How many requests are in a handler, and where the others stand."""

from __future__ import annotations

from topolab.claims import Figure, Figures
from topolab.experiments.bench import Bench
from topolab.experiments.claims.claim import CONDITION, FALSE, TRUE, UNCHECKED, Claim, Judged, here, places
from topolab.experiments.identity import unit_of

HOLD_S = 2.0  # for those outside a full queue to hear something


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
    return places(bench.capacity("flask-single", requests=200, hold_s=HOLD_S))


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
    return places(bench.capacity("gunicorn-sync", "workers=4", requests=100))


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


CLAIMS = (
    Claim(
        "descriptors", "Flask's threaded server holds 251 requests in flight with 256 descriptors.",
        "werkzeug/serving.py:872: a thread and a descriptor for each request, and no other bound",
        here("flask-threaded"), _descriptors, _judge_descriptors,
    ),
    Claim(
        "thread-per-request", "Flask's threaded server starts a new thread for each request.",
        "socketserver.py: ThreadingMixIn.process_request", here("flask-threaded"), _thread_per_request,
        _judge_thread_per_request,
    ),
    Claim(
        "threaded-false", "With threaded=False Flask's server serves one request at a time.",
        "socketserver.py: BaseServer.serve_forever", here("flask-single"), _one_at_a_time, _judge_one_at_a_time,
    ),
    Claim(
        "processes", "With processes=100 it serves 100 and queues 128 or 129, in one queue that all processes share.",
        "socketserver.py: ForkingMixIn; werkzeug/serving.py:82", here("flask-forking"), _forks, _judge_forks,
    ),
    Claim(
        "fork-per-request", "With processes=100 it forks for each request.",
        "socketserver.py: ForkingMixIn.process_request", here("flask-forking"), _fork_per_request,
        _judge_fork_per_request,
    ),
    Claim(
        "uwsgi", "uWSGI with 10 threads serves 10 requests, queues the rest and reuses its threads.",
        "uwsgi core/loop.c, plugins/http/http.c", here("uwsgi-threads", "uwsgi-http"), _uwsgi, _judge_uwsgi,
    ),
    Claim(
        "gunicorn-sync", "gunicorn -w 4 with sync workers serves 4 requests at a time.",
        "gunicorn/workers/sync.py", here("gunicorn-sync"), _gunicorn, _judge_gunicorn,
    ),
    Claim(
        "dead-work", "Queued requests run after their client has gone.",
        "the kernel's accept queue keeps them; no server looks", here("flask-single", "uwsgi-threads"), _dead_work,
        _judge_dead_work,
    ),
    Claim(
        "full-queue", "A full queue means a connect that times out, not one that is refused.",
        "listen(2); Linux net/ipv4/tcp_input.c: tcp_conn_request",
        here("flask-single", "uwsgi-threads", "gunicorn-sync"), _full_queue, _judge_full_queue,
    ),
)  # fmt: skip
