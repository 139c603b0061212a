"""`python -m topolab.instrument capacity --requests 1000 --listener app=127.0.0.1:8000 --gate 127.0.0.1:9100`

or `readback` in place of `capacity --requests 1000`; `calibrate` needs no stack. `session` in its place reads from
standard input what to do, one experiment after the other: a JSON list of its words on each line, to which those after
`session` are added.

Exit codes: 0 with a `result` event, 2 with a `failed` event (or a command line that can't be read), 130 and 143
after SIGINT and SIGTERM, with nothing left running.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, get_args

from topolab.errors import LabError
from topolab.instrument.addresses import Listener, TcpAddress, parse_listener, parse_tcp
from topolab.instrument.asked import (
    SLEEP_AT_MOST_S,
    Asked,
    BurstAsked,
    CalibrateAsked,
    IdentityAsked,
    IsolationAsked,
    LoadAsked,
    MemoryAsked,
    Subject,
)
from topolab.instrument.burst import burst
from topolab.instrument.calibrate import calibrate
from topolab.instrument.capacity import capacity
from topolab.instrument.deadwork import deadwork
from topolab.instrument.events import Events
from topolab.instrument.identity import identity
from topolab.instrument.isolation import isolation
from topolab.instrument.load import load
from topolab.instrument.memory import memory
from topolab.instrument.offers import parse_laps
from topolab.instrument.processes import Stopped
from topolab.instrument.readback import readback
from topolab.instrument.stack import Stack
from topolab.results import Route

SESSION = "session"
EXAMPLE = '["capacity", "--requests", "100"]'
GOES_ON = (0, 2)  # exit codes of experiments that say nothing against the next one

T = TypeVar("T")
Number = TypeVar("Number", int, float)

# By name: what runs, what it is asked for, and the question that it answers.
EXPERIMENTS: dict[str, tuple[Callable[[Any, Events], Any], type[Subject | CalibrateAsked], str]] = {
    "capacity": (capacity, Asked, "where are N requests?"),
    "readback": (readback, Subject, "what did the kernel make of the limits and queues?"),
    "identity": (identity, IdentityAsked, "who serves which request?"),
    "isolation": (isolation, IsolationAsked, "is what a request has left somewhere still its own?"),
    "deadwork": (deadwork, Asked, "what runs for clients that have gone?"),
    "burst": (burst, BurstAsked, "how long do requests wait that come all at once?"),
    "load": (load, LoadAsked, "what comes of requests that are offered, lap by lap?"),
    "calibrate": (calibrate, CalibrateAsked, "what can the instrument itself do here?"),
    "memory": (memory, MemoryAsked, "what does a request in flight, or an idle connection, cost?"),
}


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    return session(words[1:]) if words[:1] == [SESSION] else experiment(words)


def session(common: Sequence[str]) -> int:
    """Experiments as standard input asks for them. It ends with that, or where one was told to stop."""
    try:
        for line in sys.stdin:
            words = _words(line)
            if words is None:
                print(f"{line.strip()[:80]} is no JSON list of words, as in {EXAMPLE}", file=sys.stderr)
                return 2
            if (code := experiment([*words, *common])) not in GOES_ON:
                return code
    except KeyboardInterrupt:  # between two of them
        return 128 + signal.SIGINT
    return 0


def _words(line: str) -> list[str] | None:
    with contextlib.suppress(ValueError):
        words = json.loads(line)
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return words
    return None


def experiment(words: Sequence[str]) -> int:
    """One of them; the exit code that is due for it."""
    events = Events()
    try:
        name, asked = parse(words)
        events.result(EXPERIMENTS[name][0](asked, events))
    except LabError as error:
        events.failed(str(error))
        return 2
    except Stopped as stopped:
        print(f"stopped: {stopped}", file=sys.stderr)
        return stopped.code
    except BrokenPipeError:  # nobody reads the events any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 143
    except OSError as error:
        events.failed(f"The instrument can't go on: {error}.")  # no descriptors, say, or no sock_diag
        return 2
    return 0


def parse(argv: Sequence[str]) -> tuple[str, Subject | CalibrateAsked]:
    """The experiment's name, and what it is asked for."""
    watched = argparse.ArgumentParser(add_help=False)
    watched.add_argument("--watch-stdin", action="store_true", help="stop when standard input ends")
    subject = _subject(watched)
    held = _held(subject)
    parents = {CalibrateAsked: watched, Asked: held}
    program = argparse.ArgumentParser(prog="python -m topolab.instrument", description=__doc__.partition("\n")[2])
    experiments = program.add_subparsers(dest="experiment", required=True)
    parsers = {
        name: experiments.add_parser(name, parents=[parents.get(kind, subject)], help=text)
        for name, (_run, kind, text) in EXPERIMENTS.items()
    }
    for option, kind, default, text in IDENTITY:
        parsers["identity"].add_argument(option, type=kind, default=default, help=f"{text} (%(default)s)")
    isolation_ = parsers["isolation"]
    isolation_.add_argument("--requests", type=_positive(int), required=True, metavar="N")
    isolation_.add_argument(
        "--wait-ms", type=_positive(float), default=50.0, help="how long each view waits (%(default)g)"
    )
    isolation_.add_argument("--use-async", action="store_true", help="ask an async view")
    burst_ = parsers["burst"]
    burst_.add_argument("--requests", type=_positive(int), required=True, metavar="N")
    burst_.add_argument("--deadline", type=_positive(float), default=20.0, dest="deadline_s", metavar="SECONDS")
    for option, text in (("--requests", "held at the gate"), ("--idle", "idle connections, opened after them")):
        parsers["memory"].add_argument(
            option,
            type=_positive(int, from_zero=True),
            default=0,
            metavar="N",
            help=f"how many are {text} (%(default)s)",
        )

    parsers["load"].add_argument(
        "--laps", type=_value(parse_laps), required=True, metavar="JSON",
        help="what to offer, one lap after the other: a list of topolab.loads.Offered",
    )  # fmt: skip

    given = vars(program.parse_args(argv))
    name = given.pop("experiment")
    asked: Callable[..., Any] = EXPERIMENTS[name][1]
    if name != "calibrate":
        given["stack"] = _stack(parsers[name], given.pop("listener"), given.pop("gate"))
    if given.get("hold_s") and given["route"] == "sleep":
        parsers[name].error("--hold: handlers that sleep end by themselves; hold with --route gate or --route async")
    return name, asked(**given)


def _subject(*parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """What every experiment on a stack is told."""
    subject = argparse.ArgumentParser(add_help=False, parents=parents)
    subject.add_argument(
        "--listener", type=_value(parse_listener), action="append", required=True, metavar="SERVICE=ADDRESS",
        help="where a service listens: app=HOST:PORT, app=unix:PATH (a * in the file name stands for a pid, say), "
        "front=HOST:PORT; clients go to the front, if any; give app once for each instance behind a front",
    )  # fmt: skip
    subject.add_argument("--gate", type=_value(parse_tcp), required=True, metavar="HOST:PORT", help="where /hold calls")
    subject.add_argument(
        "--processes", type=_positive(int), default=1, metavar="P",
        help="how many processes of the app have to have answered before it starts (%(default)s)",
    )  # fmt: skip
    return subject


def _held(*parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """What those are told that hold requests."""
    held = argparse.ArgumentParser(add_help=False, parents=parents)
    held.add_argument("--requests", type=_positive(int), required=True, metavar="N")
    held.add_argument(
        "--route", choices=get_args(Route), default="gate",
        help="how a handler waits: for the gate, asleep (it then holds no descriptor and ends by itself), or for the "
        "gate as an async view (%(default)s)",
    )  # fmt: skip
    held.add_argument(
        "--sleep-s", type=_positive(float, SLEEP_AT_MOST_S), default=8.0, metavar="SECONDS",
        help="how long a handler of the route sleep sleeps; all must be at rest before the first wakes (%(default)g)",
    )  # fmt: skip
    held.add_argument(
        "--rate", type=_positive(float), default=2000.0, help="connections opened per second (%(default)g)"
    )
    held.add_argument(
        "--hold", type=_positive(float, from_zero=True), default=0.0, dest="hold_s", metavar="SECONDS",
        help="keep all held for so long after the census, note what they get meanwhile, and follow the unanswered as "
        "well after the release (%(default)g)",
    )  # fmt: skip
    held.add_argument(
        "--deadline", type=_positive(float), default=60.0, dest="deadline_s", metavar="SECONDS",
        help="for coming to rest, and again (plus the hold) for the last answer after the release (%(default)g)",
    )  # fmt: skip
    return held


def _stack(parser: argparse.ArgumentParser, listeners: Sequence[Listener], gate: TcpAddress) -> Stack:
    apps = tuple(listener.address for listener in listeners if listener.service == "app")
    fronts = [listener.address for listener in listeners if listener.service == "front"]
    if not apps:
        parser.error("--listener: say where the app listens, as in --listener app=127.0.0.1:8000")
    if len({listener.address for listener in listeners}) < len(listeners) or len(fronts) > 1:
        parser.error("--listener: give each address once, and one front at most")
    if len(apps) > 1 and not fronts:
        parser.error("--listener: several apps need a front that balances over them; add front=HOST:PORT")
    entry = (*fronts, *apps)[0]
    if not isinstance(entry, TcpAddress):
        parser.error("--listener: clients connect over TCP; put a front before a unix socket, or give HOST:PORT")
    return Stack(apps, entry if fronts else None, gate)


def _value(read: Callable[[str], T]) -> Callable[[str], T]:
    def convert(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _positive(
    kind: Callable[[str], Number], at_most: float = 1e9, *, from_zero: bool = False
) -> Callable[[str], Number]:
    def convert(text: str) -> Number:
        with contextlib.suppress(ValueError):
            value = kind(text)
            if 0 < value <= at_most or (from_zero and value == 0):
                return value
        low = "a number, 0 or more" if from_zero else "a number above 0"
        raise argparse.ArgumentTypeError(f'"{text}" is not {low}{f", {at_most:g} at most" if at_most < 1e9 else ""}')

    return convert


# Of identity: option, type, default, help.
IDENTITY: tuple[tuple[str, Callable[[str], int | float], int | float, str], ...] = (
    ("--handlers", _positive(int), 1, "handlers of each process"),
    ("--successive", _positive(int), 30, "requests one after the other"),
    ("--concurrent", _positive(int), 40, "requests at once"),
    ("--concurrent-ms", _positive(float), 100.0, "how long each of those takes"),
    ("--mixed", _positive(int, from_zero=True), 400, "short and long requests mixed"),
    ("--rate", _positive(float), 100.0, "of the mix, per second"),
    ("--short-ms", _positive(float, from_zero=True), 2.0, "a short one takes so long"),
    ("--long-ms", _positive(float), 400.0, "a long one takes so long"),
    ("--threshold-s", _positive(float), 0.05, "a wait counts from here on"),
    ("--deadline-s", _positive(float), 20.0, "for the last answer of each part"),
)


if __name__ == "__main__":
    sys.exit(main())
