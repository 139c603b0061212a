"""What requests get when a signal comes to their server."""

from __future__ import annotations

from pathlib import Path

import pytest

from topolab.behaviours import Fared, SignalName
from topolab.errors import NotRunnable
from topolab.experiments.endings import Client, run, standing, tally
from topolab.plan import Plan, resolve
from topolab.runtimes.fake import FakeRuntime
from topolab.runtimes.process import ProcessRuntime
from topolab.topology import Catalog


def plan(catalog: Catalog, name: str, *sets: str) -> Plan:
    return resolve(catalog, name, sets=sets, requests=6)


def test_where_requests_stand_is_as_the_model_says(catalog: Catalog) -> None:
    """The first are in handlers; the others wait in the kernel, or behind a front that has accepted them."""
    assert standing(plan(catalog, "gunicorn-sync")) == ["handler"] * 4 + ["accept_queue"] * 2
    assert standing(plan(catalog, "waitress")) == ["handler"] * 4 + ["waiting"] * 2
    assert standing(plan(catalog, "nginx-gunicorn-sync")) == ["handler"] * 4 + ["waiting"] * 2


def test_the_same_fates_of_one_place_count_together() -> None:
    """Two that were answered in handlers are one line, with the time of the last; one that was reset is another."""
    clients = [Client("/", "answered", 200, 10.5), Client("/", "answered", 200, 11.0), Client("/", "reset", None, 10.1)]
    stands = list(zip(("handler", "handler", "accept_queue"), clients, strict=True))
    assert tally(stands, 10.0) == (  # type: ignore[arg-type]  # the literals of a zip are plain text
        Fared("handler", "answered", 200, 2, 1.0),
        Fared("accept_queue", "reset", None, 1, 0.1),
    )


def test_only_local_processes_get_signals(catalog: Catalog) -> None:
    """Another runtime is refused, with what to type."""
    runtime = FakeRuntime({})
    runtime.name = "compose"
    with pytest.raises(NotRunnable) as refusal:
        run(runtime, plan(catalog, "gunicorn-sync"), lambda _: None)
    assert refusal.value.remedy == "Type --runtime process."


def test_only_a_view_that_sleeps_is_asked(catalog: Catalog) -> None:
    """Another route would change what is predicted, and not what clients ask: it is refused by name."""
    with pytest.raises(NotRunnable, match=r"^endings asks a view that sleeps, and no async one\.$") as refusal:
        run(FakeRuntime({}), resolve(catalog, "gunicorn-sync", requests=6, route="async"), lambda _: None)
    assert refusal.value.remedy == "--route sleep, or leave it out."


@pytest.mark.parametrize(
    ("signal", "handled", "queued", "lives"),
    [
        ("SIGTERM", {"answered"}, {"reset"}, False),
        ("SIGKILL", {"answered", "closed"}, {"answered"}, True),
    ],
)
def test_what_a_signal_does_to_gunicorn(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    signal: SignalName, handled: set[str], queued: set[str], lives: bool,
) -> None:  # fmt: skip
    """SIGTERM lets views end and drops the queue; a killed worker takes its view along, and the queue is served."""
    monkeypatch.setattr("topolab.paths.STATE", tmp_path)
    runtime = ProcessRuntime()
    checked = runtime.check(plan(catalog, "gunicorn-sync", "workers=2"))
    assert not runtime.prepare([checked], lambda _: None)
    done = run(runtime, checked, lambda _: None, signals=[signal])
    (ending,) = done.endings
    assert done.verdict == "VALID"
    assert sum(fared.count for fared in ending.fared) == 6
    assert {fared.fate for fared in ending.fared if fared.place == "handler"} == handled
    assert {fared.fate for fared in ending.fared if fared.place == "accept_queue"} == queued
    assert (ending.ended_s is None, ending.serves_after, ending.by_others) == (lives, lives, lives)
