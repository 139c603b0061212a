"""Reasons to doubt a lap under load. Each is typed, says what was seen, and what to do next."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from topolab.loads import Calibration, Ceiling, Lap, Offered, Pins
from topolab.results import Finding

BEYOND = 10  # samples that have to lie beyond a percentile before it says anything
LITTLE = 0.10  # how far rate times latency may be from the connections that were held
# Times the ceiling: what it is made of was measured, and varies itself. A machine that is shared has its CPUs run a
# third slower in one second than in the next.
ABOVE, ABOVE_CPU = 1.05, 1.5
ON_ITS_WAY_S = 0.001  # of a request alone: to the slot and back, while under load others have it
BELOW = 0.95  # of what was offered
SURE = 4.0  # standard deviations of a Poisson count: what chance alone does not explain
LATE_S = 0.001
LATE_SHARE = 0.10  # of the median latency: what is late that often is a part of what is reported
EDGES = 2.0  # requests of a grid that fall to either side of a lap's beginning and end
FULL = 0.90  # of a core, or of the slots
NEAR = 0.80  # of what the instrument can do
OTHERS = 0.10  # of a core
STEAL = 0.02  # of a core
TICKS_S = 0.05  # of CPU time: the kernel counts in hundredths of a second, and a short lap is not judged by one or two
DRIFT = 0.10
SPREAD = 0.15  # of the median


def judge(
    lap: Lap,
    *,
    ceiling: Ceiling | None = None,
    calibration: Calibration | None = None,
    pins: Pins | None = None,
    percentile: float | None = None,
    outside: int = 0,
    plateau: bool = False,
    overload: bool = False,
) -> Lap:
    """The lap with its findings and its verdict.

    `percentile`: the highest that is asked of it. `outside`: of its connections, those that the model says the server
    does not take. `plateau`: it is to show the most that comes out. `overload`: more was offered than can come out on
    purpose, so that errors, a growing queue and fewer answers than requests are the subject and no doubt.
    """
    found = [
        *_late(lap, overload=overload),
        *_instrument(lap, calibration),
        *_machine(lap, pins),
        *_mean(lap),
        *_ceiling(lap, ceiling),
        *_keepalive(lap),
    ]
    if not overload:
        found += [
            *_errors(lap), *_little(lap), *_offered(lap), *_samples(lap, percentile), *_drift(lap),
            *_outside(lap, outside),
        ]  # fmt: skip
    if plateau and ceiling:
        found += _saturation(lap, ceiling)
    return replace(lap, findings=tuple(found), verdict="SUSPECT" if found else "VALID")


def of_the_ceiling(lap: Lap, pins: Pins | None) -> Lap:
    """A lap that a ceiling is made of, with what makes that ceiling doubtful."""
    found = (*_machine(lap, pins), *_errors(lap))
    return replace(lap, findings=found, verdict="SUSPECT" if found else "VALID")


def gathered(laps: Iterable[Lap]) -> tuple[Finding, ...]:
    """All findings of a run's laps, each with the lap that it is of."""
    return tuple(
        Finding(finding.code, f"{lap.offered.label}: {finding.message}") for lap in laps for finding in lap.findings
    )


def repeats(figure: str, values: Sequence[float], most: float = SPREAD) -> Iterator[Finding]:
    """What repeats of the same figure say of each other; `most`: how far they may lie apart, of their median."""
    median = statistics.median(values)
    spread = max(values) - min(values)
    if spread > most * median:
        yield Finding(
            "repeats_disagree",
            f"{figure}: {len(values)} repeats lie between {min(values):,.4g} and {max(values):,.4g}, "
            f"{_share(spread, median)} of their median apart. Measure on a quieter machine, longer, or more often.",
        )


def _late(lap: Lap, *, overload: bool) -> Iterator[Finding]:
    """In overload latencies are long, and a millisecond matters only beside them, or beside how long clients wait."""
    seen, offered = lap.instrument, lap.offered
    p50_s = lap.answered.p50_s if lap.answered else 0.0
    beside_s = (p50_s or offered.timeout_s) if overload else 0.0
    if offered.loop == "closed":
        return
    if seen.lateness_p99_s > max(LATE_S, LATE_SHARE * beside_s):
        yield Finding(
            "instrument_late",
            f"The instrument sent {_ms(seen.lateness_p99_s)} late (p99; {_ms(seen.lateness_max_s)} at most), and that "
            "is in every latency here. Free its CPU, or offer less.",
        )
    elif p50_s and seen.lateness_p50_s > LATE_SHARE * p50_s:
        yield Finding(
            "instrument_late",
            f"The instrument sent {_ms(seen.lateness_p50_s)} late (p50), {_share(seen.lateness_p50_s, p50_s)} of the "
            f"median latency of {_ms(p50_s)}. Free its CPU, or offer less.",
        )


def _instrument(lap: Lap, calibration: Calibration | None) -> Iterator[Finding]:
    seen, offered = lap.instrument, lap.offered
    if seen.descriptors_short:
        yield Finding(
            "instrument_descriptors",
            f"The instrument lacked descriptors or ports for {seen.descriptors_short:,} connections. Raise `ulimit "
            "-Hn`, or offer less.",
        )
    if seen.cpu_share > FULL:
        yield Finding(
            "instrument_saturated",
            f"The instrument's own core was {seen.cpu_share:.0%} busy: it may be what was slow. Offer less, or give it "
            "a faster core.",
        )
    elif calibration and not (most := _most(lap, calibration)):
        yield Finding(
            "instrument_saturated",
            "The instrument was late at every rate when it was calibrated. Run it again on a quieter machine, "
            "or begin another campaign: each is calibrated anew.",
        )
    elif calibration and (rate := max(lap.achieved, offered.rate)) > NEAR * most:
        yield Finding(
            "instrument_saturated",
            f"{rate:,.0f}/s is {_share(rate, most)} of what the instrument itself can do here ({most:,.0f}/s): it may "
            "be what was slow. Offer less, or ask for more work in each request.",
        )


def _most(lap: Lap, calibration: Calibration) -> float:
    """What the instrument can do, as it was used in this lap."""
    closed = calibration.keepalive_rate if kept(lap) else calibration.reconnect_rate
    return closed if lap.offered.loop == "closed" else min(closed, calibration.open_rate)


def kept(lap: Lap) -> bool:
    """Whether connections were kept, and used more than once."""
    return lap.offered.keepalive and lap.instrument.responses > 2 * lap.instrument.connections_opened


def _machine(lap: Lap, pins: Pins | None) -> Iterator[Finding]:
    seen = lap.machine
    if pins and seen.server_cpus and seen.server_cpus != len(pins.server):
        yield Finding(
            "limit_clipped",
            f"The server may use {seen.server_cpus} CPUs, the plan pins it to {len(pins.server)} "
            f"({','.join(map(str, pins.server))}). Look whether the engine supports cpusets (`docker info`).",
        )
    if seen.others_cpu_s > max(TICKS_S, OTHERS * seen.wall_s):
        yield Finding(
            "machine_busy",
            f"Other processes used {_share(seen.others_cpu_s, seen.wall_s)} of a core meanwhile. Stop them and run "
            "again.",
        )
    if seen.steal_s > max(TICKS_S, STEAL * seen.wall_s):
        yield Finding(
            "machine_busy",
            f"The hypervisor took {_share(seen.steal_s, seen.wall_s)} of a core away meanwhile. Run it again at "
            "another time, or on a machine of your own.",
        )


def _mean(lap: Lap) -> Iterator[Finding]:
    seen = lap.answered
    if seen and seen.mean_s > seen.p99_s:
        yield Finding(
            "mean_above_p99",
            f"The mean latency ({_ms(seen.mean_s)}) is above p99 ({_ms(seen.p99_s)}): a few requests took up to "
            f"{_ms(seen.max_s)}. Look at those; neither figure speaks of them.",
        )


def _ceiling(lap: Lap, ceiling: Ceiling | None) -> Iterator[Finding]:
    """Whether more came out than slots or CPUs allow, by more than what those are made of varies itself."""
    if not ceiling:
        return
    shortest_s = max(ceiling.service_s - ON_ITS_WAY_S, ceiling.service_s / 2)
    name = "its slots" if ceiling.bound_by == "CPU" else ceiling.bound_by
    possible = [(ABOVE * ceiling.slots / shortest_s, name, ceiling.slots / ceiling.service_s)]
    if ceiling.cpu_s:
        possible.append((ABOVE_CPU * ceiling.cpus / ceiling.cpu_s, "its CPU time", ceiling.cpus / ceiling.cpu_s))
    most, what, allowed = min(possible)
    if lap.achieved > most:
        yield Finding(
            "above_ceiling",
            f"{lap.achieved:,.0f}/s came out, and by {what} it can be {allowed:,.0f}/s. Either not all of "
            "these are whole answers, or the server's model or the time of one request is wrong.",
        )


def _keepalive(lap: Lap) -> Iterator[Finding]:
    seen = lap.instrument
    if lap.offered.keepalive and not kept(lap) and seen.connections_opened > 2 * seen.connections_held + BEYOND:
        yield Finding(
            "keepalive_not_honoured",
            f"{seen.responses:,} responses took {seen.connections_opened:,} connections: the server closes them "
            "although it was asked to keep them. Use --keepalive off, so that each request counts its connection.",
        )


def _errors(lap: Lap) -> Iterator[Finding]:
    bad = [fated for fated in lap.fates if fated.fate != "answered"]
    if bad:
        kinds = ", ".join(f"{fated.count:,} {fated.fate}{f' {fated.status}' if fated.status else ''}" for fated in bad)
        count = sum(fated.count for fated in bad)
        yield Finding(
            "errors",
            f"{count:,} of {lap.requests:,} requests got no good answer ({kinds}). The figures are of the others only. "
            "Offer less; the server's log says why (`topolab logs`).",
        )


def _little(lap: Lap) -> Iterator[Finding]:
    """Rate times latency is what was under way: all connections of the closed loop, at most those of the open one.

    What was under way when the lap began is not in its latencies: the longer these are, the less exact it is.
    """
    if lap.offered.loop == "closed":
        held: float = lap.offered.connections
        off, against = abs(lap.in_flight - held), f"{held:,} clients asked"
    else:
        held = lap.instrument.connections_held
        off, against = max(0.0, lap.in_flight - held), f"{held:,.1f} connections were open"
    edges = lap.answered.p99_s / lap.offered.seconds if lap.answered else 0.0
    if off > max(1.0, (LITTLE + edges / 2 if lap.offered.loop == "closed" else LITTLE + edges) * held):
        yield Finding(
            "littles_law",
            f"{lap.achieved:,.0f}/s times {_ms(lap.answered.mean_s if lap.answered else 0)} makes {lap.in_flight:,.1f} "
            f"requests under way, but {against}. The others stand where these latencies do not see them (a connection "
            "that nobody answers, a client that waits). Use fewer connections, or look at what they get.",
        )


def _offered(lap: Lap) -> Iterator[Finding]:
    offered = lap.offered
    if offered.loop == "closed":
        return
    asked = (offered.rate + (offered.rate if offered.rate_end is None else offered.rate_end)) / 2
    if lap.achieved < min(BELOW, 1 - _chance(offered, asked * offered.seconds)) * asked:
        yield Finding(
            "below_offered",
            f"{asked:,.0f}/s were offered and {lap.achieved:,.0f}/s came out: a queue grows, and these latencies "
            "depend on how long one measures. Offer less.",
        )


def _samples(lap: Lap, percentile: float | None) -> Iterator[Finding]:
    count = lap.answered.count if lap.answered else 0
    if percentile and count < (needed := round(BEYOND / (1 - percentile))):
        name = f"p{percentile * 100:g}".replace(".", "")
        longer = lap.offered.seconds * needed / max(1, count)
        yield Finding(
            "too_few_samples",
            f"{name} rests on {count:,} requests, of which {count * (1 - percentile):.1f} lie beyond it; {needed:,} "
            f"are needed. Run {math.ceil(longer):,} s (--seconds), or read a lower percentile.",
        )


def _drift(lap: Lap) -> Iterator[Finding]:
    first, second = lap.first_half, lap.second_half
    chance = _chance(lap.offered, lap.achieved * lap.offered.seconds / 2) if lap.offered.loop == "open" else 0.0
    if abs(second - first) > max(DRIFT, chance) * max(first, second):
        yield Finding(
            "drift",
            f"{first:,.0f}/s in the first half, {second:,.0f}/s in the second: it had not settled. Warm it up longer, "
            "or measure longer (--seconds).",
        )


def _chance(offered: Offered, count: float) -> float:
    """By which share a count of arrivals may be off by chance alone; of those on a grid, by one at each end."""
    count = max(1.0, count)
    return SURE / math.sqrt(count) if offered.arrivals == "poisson" else EDGES / count


def _outside(lap: Lap, outside: int) -> Iterator[Finding]:
    if outside:
        yield Finding(
            "clients_outside",
            f"Of {lap.offered.connections:,} connections the server takes {lap.offered.connections - outside:,}: "
            f"{outside:,} clients stand outside, and the latency of those that are served leaves them out. Use fewer "
            "connections, or a server that takes more.",
        )


def _saturation(lap: Lap, ceiling: Ceiling) -> Iterator[Finding]:
    cpu = (lap.machine.server_cpu_s or 0.0) / (lap.machine.wall_s * ceiling.cpus)
    slots = lap.achieved * ceiling.service_s / ceiling.slots
    if max(cpu, slots) < FULL:
        yield Finding(
            "not_saturated",
            f"The server's CPU was {cpu:.0%} busy and its slots {slots:.0%}: something else held it back, so this is "
            "not the most that it can do. Use more connections, and look at the instrument and the accept queue.",
        )


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:,.0f} ms" if milliseconds >= 100 else f"{milliseconds:.3g} ms"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}"
