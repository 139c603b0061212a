"""Calibration: what the instrument itself can do on this machine, before it says anything of a server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter

from topolab import host, paths, store
from topolab.experiments.beside import result_of
from topolab.experiments.capacity import OnEvent
from topolab.loads import Calibration
from topolab.runtimes.base import Say
from topolab.runtimes.instrument import Instrument
from topolab.runtimes.process import PYTHON

FRESH_S = 3600.0
BOOT = Path("/proc/sys/kernel/random/boot_id")


def calibrate(on_event: OnEvent) -> Calibration:
    """Some five seconds. As a local process in every runtime: there is no stack, and a pod has the same loopback.

    Raises `LabError` where the machine gives the instrument nothing to measure.
    """
    with Instrument([*PYTHON, "topolab.instrument", "session", "--watch-stdin"]) as ask:
        found: Calibration = result_of(ask(["calibrate"]), Calibration, on_event)
        return found


def recent(
    say: Say, *, measure: Callable[[OnEvent], Calibration] = calibrate, clock: Callable[[], float] = time.time
) -> Calibration:
    """The one of this machine, this boot and the last hour; measured where there is none.

    A campaign has one of its own; this is for single runs, which would otherwise take half as long again.
    """
    path = paths.STATE / "calibration.json"
    here = {"host": asdict(host.fingerprint()), "boot": BOOT.read_text().strip()}
    try:
        kept = json.loads(path.read_text())
        age_s = clock() - kept.pop("at")
        found = TypeAdapter(Calibration).validate_python(kept.pop("calibration"))
        if kept == here and 0 <= age_s < FRESH_S:
            return found
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        pass  # none yet, or damaged
    say("calibrating the instrument against a server that does nothing")
    measured = measure(lambda _event: None)
    if measured.open_rate:  # or else it is measured again for the next run
        text = json.dumps({**here, "at": clock(), "calibration": asdict(measured)}, indent=1)
        store.write_text(path, text + "\n")
    return measured
