"""Endings: a signal comes while requests run and wait. What does each of them get, and who serves the next?

Local processes only: a container's first process is not always the server's.
"""

from __future__ import annotations

import http.client
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import get_args

import psutil

from topolab import findings, host
from topolab.behaviours import Ending, EndingsRun, Fared, SignalName
from topolab.errors import NotRunnable
from topolab.experiments import asking
from topolab.experiments.capacity import Clock, OnEvent, command
from topolab.ledger import Service
from topolab.model import predict
from topolab.plan import Plan
from topolab.results import Finding, OutcomeFate, Standing
from topolab.runtimes.base import Runtime
from topolab.runtimes.lifecycle import temporary
from topolab.runtimes.process import ProcessStack

SIGNALS: tuple[SignalName, ...] = get_args(SignalName)
ROUTES = ("gate", "sleep")  # what nobody has typed, and what is asked; others would change where requests stand
VIEW_S = 1.2
APART_S = 0.01  # between two that come: the shortest backlog here is 5
PAUSE_S = 0.3  # until those that came stand where they stay
NEWCOMER_S = 0.3  # after the signal
AFTERWARDS_S = 2.0  # how long a first process may still take when all requests have ended; a new worker to start
PATIENCE_S = 15.0


@dataclass(slots=True)
class Client:
    """One request, and what it got."""

    path: str
    fate: OutcomeFate = "silence"
    status: int | None = None
    ended: float = 0.0  # on the monotonic clock

    def ask(self, port: int) -> None:
        connection = http.client.HTTPConnection(asking.HOST, port, timeout=PATIENCE_S)
        try:
            connection.request("GET", self.path, headers={"Connection": "close"})
            response = connection.getresponse()
            response.read()
            self.status = response.status
            self.fate = "answered" if response.status < 400 else "error"
        except ConnectionRefusedError:
            self.fate = "refused"
        except (http.client.RemoteDisconnected, http.client.IncompleteRead, http.client.BadStatusLine):
            self.fate = "closed"
        except (ConnectionResetError, BrokenPipeError):
            self.fate = "reset"
        except TimeoutError:
            self.fate = "silence"
        finally:
            connection.close()
            self.ended = time.monotonic()


def run(runtime: Runtime, plan: Plan, on_event: OnEvent, *, signals: Sequence[SignalName] = SIGNALS) -> EndingsRun:
    """A stack for each signal, with `plan.asked.requests` requests in it. `plan` has passed `runtime.check`."""
    if runtime.name != "process":
        raise NotRunnable("endings sends signals to local processes only.", remedy="Type --runtime process.")
    if plan.asked.route not in ROUTES:
        raise NotRunnable(
            f"endings asks a view that sleeps, and no {plan.asked.route} one.",
            remedy="--route sleep, or leave it out.",
        )
    clock = Clock()
    endings, early = [], 0
    versions: dict[str, str] = {}
    for number, name in enumerate(signals, 1):
        on_event({"event": "progress", "phase": name, "done": number, "of": len(signals)})
        with temporary(runtime, plan) as stack:
            assert isinstance(stack, ProcessStack)
            versions = stack.versions()
            ending, before = _ending(stack, name)
        endings.append(ending)
        early += before
    found = _findings(early)
    return EndingsRun(
        topology=plan.name,
        runtime=runtime.name,
        asked=plan.asked,
        verdict=findings.verdict(found),
        findings=found,
        plan=plan.environment(),
        host=host.fingerprint(),
        versions=versions,
        command=command(plan, runtime.name, experiment="endings"),
        started=clock.started,
        seconds=clock.seconds,
        target=target(plan),
        view_s=VIEW_S,
        endings=tuple(endings),
    )


def target(plan: Plan) -> Service:
    """Who gets the signals: what clients come to, if it is a program of its own."""
    return "front" if plan.front and not plan.front.server.inside else "app"


def standing(plan: Plan) -> list[Standing]:
    """Where each of the requests will stand, in the order of their coming, as the model says."""
    ledger = predict(plan, plan.asked.requests).ledger
    stands: list[Standing] = []
    for place in ledger:
        waits: Standing = "accept_queue" if place.place == "accept_queue" and not plan.front else "waiting"
        stands += ["handler" if place.place == "handler" else waits] * place.count
    return stands


def _ending(stack: ProcessStack, name: SignalName) -> tuple[Ending, int]:
    """What came of one signal, and how many requests had ended before it."""
    stands = standing(stack.plan)
    clients = [Client(f"/sleep?seconds={VIEW_S:g}") for _ in stands]
    threads: list[threading.Thread] = []
    first = stack.first_processes()[target(stack.plan)]
    served = {process.pid for process in _family(first)}
    serving = asking.processes(stack.port, stack.plan.processes())
    for client, before, stand in zip(clients, ["handler", *stands], stands, strict=False):
        if stand != before:
            time.sleep(PAUSE_S)  # those before are in their handlers
        threads.append(_started(client, stack.port))
        time.sleep(APART_S)
    time.sleep(PAUSE_S)
    early = sum(client.ended > 0 for client in clients)
    victim = _worker(first, serving) if name == "SIGKILL" else first
    victim.send_signal(signal.Signals[name])
    signalled = time.monotonic()
    newcomer = Client("/healthz")
    timer = threading.Timer(NEWCOMER_S, newcomer.ask, [stack.port])
    timer.start()
    ended_s = _watch([*threads, timer], first, signalled)
    last = Client("/healthz")
    last.ask(stack.port)
    now = {process.pid for process in _family(first)} if ended_s is None else set()
    return Ending(
        signal=name,
        fared=tally(list(zip(stands, clients, strict=True)), signalled),
        newcomer=tally([("on_arrival", newcomer)], signalled + NEWCOMER_S)[0],
        ended_s=ended_s,
        watched_s=round(time.monotonic() - signalled, 1),
        serves_after=last.fate == "answered",
        by_others=bool(now - served),
    ), early


def tally(fared: Sequence[tuple[Standing, Client]], signalled: float) -> tuple[Fared, ...]:
    """The same fates of the same place together, in the order of the places."""
    counts = Counter((place, client.fate, client.status) for place, client in fared)
    last: dict[tuple[Standing, OutcomeFate, int | None], float] = {}
    for place, client in fared:
        key = (place, client.fate, client.status)
        last[key] = max(last.get(key, 0.0), client.ended - signalled)
    return tuple(Fared(*key, count, round(last[key], 2)) for key, count in counts.items())


def _started(client: Client, port: int) -> threading.Thread:
    thread = threading.Thread(target=client.ask, args=[port])
    thread.start()
    return thread


def _watch(threads: Sequence[threading.Thread], first: psutil.Process, signalled: float) -> float | None:
    """Until all requests have ended, and the first process or its time as well: when that process ended."""
    ended_s: float | None = None
    over: float | None = None  # when the last request had ended
    while over is None or (ended_s is None and time.monotonic() - over < AFTERWARDS_S):
        if ended_s is None and not _runs(first):
            ended_s = round(time.monotonic() - signalled, 2)
        if over is None and not any(thread.is_alive() for thread in threads):
            over = time.monotonic()
        time.sleep(0.01)
    return ended_s


def _worker(first: psutil.Process, serving: Set[int]) -> psutil.Process:
    """A process that serves one of the requests."""
    children = first.children(recursive=True)
    return next((process for process in children if process.pid in serving), children[0] if children else first)


def _family(first: psutil.Process) -> list[psutil.Process]:
    try:
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _findings(early: int) -> tuple[Finding, ...]:
    if not early:
        return ()
    return (
        Finding(
            "requests_failed",
            f"{early} requests had an end before the signal came, so what became of them says nothing of it.",
        ),
    )
