"""Server and instrument on CPUs of their own: who gets which, and that the processes have them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from topolab import pins
from topolab.loads import Pins
from topolab.plan import resolve
from topolab.runtimes import supervisor
from topolab.runtimes.instrument import Instrument
from topolab.topology import Catalog


@pytest.mark.parametrize(
    ("cores", "shared"),
    [
        ([(0,)], None),
        ([(0,), (1,)], Pins((0,), (1,))),
        ([(0, 1)], Pins((0,), (1,))),
        ([(0, 2), (1, 3)], Pins((0, 2), (1, 3))),
        ([(0,), (1,), (2,)], Pins((0, 1), (2,))),
        ([(0, 4), (1, 5), (2, 6), (3, 7)], Pins((0, 1, 4, 5), (2, 3, 6, 7))),
    ],
)
def test_the_instrument_gets_the_last_core(cores: list[tuple[int, ...]], shared: Pins | None) -> None:
    """One CPU can't be shared out; hyper-threads of one core stay together while there is another core."""
    assert pins.apart(cores) == shared


def test_this_machines_cpus_are_shared_out_once() -> None:
    """Of the CPUs that this process may use, each is the server's or the instrument's, unless there is only one."""
    mine = sorted(os.sched_getaffinity(0))
    shared = pins.of_this_machine()
    assert shared is None if len(mine) == 1 else sorted((*shared.server, *shared.instrument)) == mine  # type: ignore[union-attr]


def test_a_pinned_plan_says_so_in_its_environment(catalog: Catalog) -> None:
    """Compose and hosts read the CPUs there; a plan that is not pinned does not speak of them."""
    plan = resolve(catalog, "gunicorn-sync")
    pinned = plan.pinned(Pins((0, 2), (1, 3)))
    assert not {"SERVER_CPUS", "INSTRUMENT_CPUS"} & set(plan.environment())
    assert pinned.environment()["SERVER_CPUS"] == "0,2"
    assert pinned.environment()["INSTRUMENT_CPUS"] == "1,3"
    assert pinned.server_cpus == 2
    assert plan.server_cpus == plan.cpus


TELLS = "import json, os; print(json.dumps({'event': 'result', 'cpus': sorted(os.sched_getaffinity(0))}))"


def test_the_instrument_starts_on_its_own_cpus() -> None:
    """It has only these, and the lab itself has all of its own again. A CPU that is not there changes nothing."""
    mine = os.sched_getaffinity(0)
    last = max(mine)
    for cpus, has in (((last,), [last]), ((), sorted(mine)), ((4095,), sorted(mine))):
        with Instrument([sys.executable, "-c", TELLS], cpus=cpus) as ask:
            assert next(ask([]))["cpus"] == has
        assert os.sched_getaffinity(0) == mine


def test_the_supervisor_starts_servers_on_their_cpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have only these; a CPU that is not there does not keep them from starting."""
    last = max(os.sched_getaffinity(0))
    for cpus, has in (([last], [last]), ([4095], sorted(os.sched_getaffinity(0)))):
        service = {"name": "app", "command": [sys.executable, "-c", TELLS], "cwd": str(tmp_path), "environment": {}}
        log = tmp_path / "app.log"
        log.unlink(missing_ok=True)
        supervisor._start(service, {}, cpus, tmp_path).wait()
        assert json.loads(log.read_text())["cpus"] == has
