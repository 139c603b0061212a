"""Famous artefacts: numbers that were published of servers and that the harness had made itself, made again.

One module for each: its naive harness with the one line that is the flaw, and what it teaches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from topolab import doubts, findings
from topolab.artefacts import ArtefactRun
from topolab.experiments.artefacts import failures, keepalive, outside, pacing
from topolab.experiments.artefacts.case import Case
from topolab.experiments.artefacts.harness import Harness
from topolab.experiments.beside import result_of
from topolab.experiments.capacity import OnEvent, Pace, arguments
from topolab.experiments.ceilings import outside as outside_of
from topolab.experiments.stand import Stand, stand
from topolab.ledger import Ledger, PlaceCount
from topolab.loads import Offered
from topolab.plan import Plan, resolve
from topolab.results import Finding, Observation
from topolab.runtimes.base import Runtime
from topolab.topology import Catalog

ARTEFACTS: tuple[Case, ...] = (keepalive.CASE, pacing.CASE, outside.CASE, failures.CASE)


def planned(catalog: Catalog, case: Case) -> Plan:
    """The server that an artefact was seen on."""
    return resolve(catalog, case.topology, sets=case.sets, requests=case.naive.connections)


def run(
    runtime: Runtime, plan: Plan, case: Case, on_event: OnEvent, *, seconds: float | None = None
) -> ArtefactRun:  # fmt: skip
    """The naive harness on a real server, then the instrument on the same; both laps judged by the same checks.

    `seconds`: how long the naive harness runs, where that is not the case's own choice.
    """
    offered = replace(case.naive, seconds=seconds or case.naive.seconds)
    with stand(runtime, plan, on_event) as it:
        [limit], _kept = it.alone([case.ours.work], keepalive=case.ours.keepalive)
        on_event({"event": "progress", "phase": "naive harness"})
        harness = Harness(it.stack.port, offered.connections, offered.seconds)
        harness.run(case.client)
        [raw] = it.load([case.ours])
        places = _held(it, case.held, on_event) if case.held else ()
        naive = doubts.judge(harness.lap(offered), ceiling=limit, outside=_beyond(it.plan, offered))
        ours = it.judge(raw, limit, outside=_beyond(it.plan, case.ours))
    says, is_so = case.says(naive, ours, Ledger(places))
    caught = tuple(finding.code for finding in naive.findings if finding.code in case.caught_by)
    envelope = it.envelope("artefact", ())
    del envelope["calibration"]  # the naive harness has none
    made = ArtefactRun(
        **{**envelope, "command": f"topolab artefact {case.name}"}, artefact=case.name, title=case.title,
        published=case.published, again=case.again, instead=case.instead, figure=case.figure, quantity=case.quantity,
        naive_says=says, so_it_is=is_so, naive=naive, ours=ours, caught_by=caught, places=places,
    )  # fmt: skip
    found = (*made.findings, *_doubts(made, case))
    return replace(made, findings=found, verdict=findings.verdict(found))


def _beyond(plan: Plan, offered: Offered) -> int:
    return outside_of(plan, offered.connections, kept=offered.keepalive)


def _held(it: Stand, requests: int, on_event: OnEvent) -> tuple[PlaceCount, ...]:
    """Where so many requests stand that all hold."""
    plan = it.plan.asking(requests)
    seen: Observation = result_of(it.ask(arguments(plan, Pace.of(requests))), Observation, on_event)
    return seen.places


def _doubts(made: ArtefactRun, case: Case) -> Iterator[Finding]:
    if made.off_by < case.factor or not made.caught_by:
        caught = f"caught by {', '.join(made.caught_by)}" if made.caught_by else "nothing caught it"
        yield Finding(
            "not_reproduced",
            f"The naive {case.figure} is off by {made.off_by:.1f} times, {case.factor:g} or more were expected; "
            f"{caught}. Run it on a quieter machine.",
        )
