"""What a crash takes along."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from topolab.claims import Figure, Figures
from topolab.errors import LabError
from topolab.experiments import asking
from topolab.experiments.bench import Bench
from topolab.experiments.claims.claim import FALSE, TRUE, UNCHECKED, Claim, Judged, here

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


CLAIMS = (
    Claim(
        "crash", "A thread that crashes takes its process along, while other processes live.",
        "signal(7): a fatal signal ends all threads", here("gunicorn-gthread"), _crash, _judge_crash,
    ),
)  # fmt: skip
