"""Runs a plan as local processes: a virtualenv per server, a process group per service, limits by setrlimit."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import psutil

from topolab import packages, paths
from topolab.errors import LabError, NotRunnable
from topolab.ownapp import OwnApp
from topolab.paths import shown
from topolab.plan import Plan
from topolab.runtimes import importing, leftovers, reachable, state, venvs
from topolab.runtimes.base import (
    Ask,
    Bind,
    RuntimeName,
    Say,
    Stack,
    bind,
    environment_file,
    instances,
    lab_environment,
)
from topolab.runtimes.follow import show
from topolab.runtimes.greeting import until_healthy, who_serves
from topolab.runtimes.instrument import Instrument
from topolab.runtimes.interrupts import shielded
from topolab.runtimes.ports import choose, free_port
from topolab.runtimes.programs import Programs
from topolab.server import Server
from topolab.store import write_text
from topolab.topology import Service

PYTHON = (sys.executable, "-P", "-m")  # -P: nothing is imported from the folder that the person stands in
START_S = 30.0  # a server that is not healthy by then is given up
GRACE_S = 3.0  # from a server's first SIGINT to SIGKILL
STOP_S = GRACE_S + 7.0  # for the supervisor itself


class ProcessRuntime:
    """Local processes in this machine's own network namespace."""

    name: RuntimeName = "process"

    def check(self, plan: Plan) -> Plan:
        """Programs, limits. `somaxconn` is the machine's: a plan that asks for another is refused."""
        if plan.own and plan.topology.entry != "single":
            raise NotRunnable(
                f"{plan.name} serves several apps of the lab's, and has no place for yours.",
                remedy="Write --set entry=single, or leave it out.",
            )
        for server in packages.missing([service.server for service in plan.topology.services]):
            raise NotRunnable(
                f"{plan.name} needs {_lacks(server)}, which is not installed.", remedy=_how_to_install(server)
            )
        for service in plan.programs:
            run = service.server.folder / "run"
            if not os.access(run, os.X_OK):
                raise LabError(f"{shown(run)}: is not there, or can't be executed. Write it, then chmod +x it.")
        plan = reachable.on_this_machine(plan)
        plan.require_startable()
        return plan

    def prepare(self, plans: Sequence[Plan], say: Say) -> dict[str, LabError]:
        """Every server's virtualenv, several at a time; a person's own app is imported in each."""
        needed = [
            (plan.name, lock, plan.own if each is plan.app else None)
            for plan in plans
            for each in plan.programs
            if (lock := venvs.lock_of(plan, each))
        ]
        missing = {(lock.venv, own): lock for _, lock, own in needed if own or not lock.ready}
        programs = Programs()
        with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
            try:
                made = {key: pool.submit(_ready, lock, key[1], say, programs) for key, lock in missing.items()}
                concurrent.futures.wait(made.values())
            except BaseException:  # interrupted: what has begun is ended, and what has not never begins
                pool.shutdown(wait=False, cancel_futures=True)
                programs.end()
                raise
        failed = {key: error for key, future in made.items() if (error := _problem(future))}
        return {name: failed[lock.venv, own] for name, lock, own in needed if (lock.venv, own) in failed}

    def up(self, plan: Plan, name: str, *, port: int | None, temporary: bool) -> Stack:
        """Starts the services under a supervisor; returns when the outer one answers /healthz."""
        port = choose(port)
        for error in self.prepare([plan], lambda _: None).values():
            raise error
        directory = state.begin(name, plan, self.name, port=port, temporary=temporary)
        supervisor: subprocess.Popen[bytes] | None = None
        instrument: Instrument | None = None
        try:
            run_dir = Path(tempfile.mkdtemp(prefix="topolab-"))  # short: a unix socket's path holds 107 bytes
            (directory / "run").symlink_to(run_dir)
            inner = [free_port() for _ in range(plan.topology.instances)]
            binds = bind(plan, outer=f"127.0.0.1:{port}", run_dir=str(run_dir), inner=inner)
            gate = f"127.0.0.1:{free_port()}"
            variables = {**plan.environment(), **lab_environment(bind=binds, gate=gate, run_dir=str(run_dir))}
            write_text(directory / "plan.env", environment_file(variables))
            supervisor = _supervise(plan, binds, directory, variables, temporary=temporary)
            if temporary:  # for a measurement: it starts beside the server, as both import for a third of a second
                instrument = _instrument(plan, binds, gate)
                instrument.start()
            until_healthy(port, deadline_s=START_S, gone=lambda: supervisor.poll() is not None)
        except BaseException as error:
            with shielded():
                try:
                    ended, last = _how_it_ended(directory), _last_lines(directory)
                finally:
                    _end(name, supervisor, instrument)
            if isinstance(error, TimeoutError):
                what = ended or f"was not healthy within {START_S:.0f} s"
                raise LabError(f"{plan.name} did not start: {what}. Its last lines:", details=last) from None
            raise
        return ProcessStack(name, plan, port, binds, gate, supervisor, instrument)

    def stop(self, name: str) -> None:
        """Ends what the record and the processes' own environment say belongs to the stack."""
        directory = state.directory(name)
        supervisor = leftovers.supervisor_of(directory)
        if supervisor:
            with contextlib.suppress(psutil.NoSuchProcess):
                supervisor.terminate()
            leftovers.wait_gone([supervisor], STOP_S)
        rest = leftovers.processes_of(directory)
        leftovers.kill(rest)
        leftovers.wait_gone(rest, STOP_S)
        link = directory / "run"
        if link.is_symlink():
            shutil.rmtree(link.readlink(), ignore_errors=True)

    def alive(self, name: str) -> dict[str, str]:
        """Each service: "running", or how the stack ended."""
        directory = state.directory(name)
        services = _service_names(directory)
        if leftovers.supervisor_of(directory):
            return dict.fromkeys(services, "running")
        return dict.fromkeys(services or ["app"], _how_it_ended(directory) or "its supervisor was killed")

    def logs(self, name: str, *, follow: bool) -> int:
        logs = sorted(state.directory(name).glob("*.log"))
        return show({path.stem: path for path in logs}, follow=follow)


@dataclass(slots=True)
class ProcessStack:
    """A plan that is up as local processes."""

    name: str
    plan: Plan
    port: int
    bind: Bind
    gate: str
    supervisor: subprocess.Popen[bytes]
    ready: Instrument | None = None  # has been started, and nobody has asked it for anything

    def instrument(self, *, as_server: bool = False) -> AbstractContextManager[Ask]:
        """The instrument as another local process; of the same user in any case."""
        instrument, self.ready = self.ready or _instrument(self.plan, self.bind, self.gate), None
        return instrument

    def versions(self) -> dict[str, str]:
        return who_serves(self.port, self.plan)

    def image_bytes(self) -> dict[str, int]:
        return {}

    def first_processes(self) -> dict[str, psutil.Process]:
        """The process that each program was started as, by name: app, app2 of a second instance ..., front."""
        children = psutil.Process(self.supervisor.pid).children()
        names = [name for service in self.plan.programs for name, _ in instances(self.plan, service, self.bind)]
        return dict(zip(names, sorted(children, key=lambda child: (child.create_time(), child.pid)), strict=True))

    def down(self) -> None:
        _end(self.name, self.supervisor, self.ready)


def _problem(made: concurrent.futures.Future[None]) -> LabError | None:
    """Why something could not be made. What nobody foresaw is raised: it is no fault of the server's."""
    try:
        made.result()
    except LabError as error:
        return error
    return None


def _ready(lock: venvs.Lock, own: OwnApp | None, say: Say, programs: Programs) -> None:
    if not lock.ready:
        venvs.make(lock, say, programs)
    if own:
        importing.check(lock.venv, own, programs)


def _instrument(plan: Plan, binds: Bind, gate: str) -> Instrument:
    command = [*PYTHON, "topolab.instrument", "session", *binds.listeners(), "--gate", gate, "--watch-stdin"]
    return Instrument(command, cpus=plan.pins.instrument if plan.pins else ())


def _end(name: str, supervisor: subprocess.Popen[bytes] | None, instrument: Instrument | None) -> None:
    """Stops a stack and an instrument that nobody has asked for, reaps them, and forgets the stack."""
    if instrument:
        instrument.end()
    ProcessRuntime().stop(name)
    if supervisor:
        if supervisor.stdin:
            supervisor.stdin.close()
        supervisor.wait()
    state.forget(name)


def _supervise(
    plan: Plan, binds: Bind, directory: Path, variables: dict[str, str], *, temporary: bool
) -> subprocess.Popen[bytes]:
    services = [
        {
            "name": name,
            "command": ["./run"],
            "cwd": str(service.server.folder),
            "environment": {**_environment(plan, service, directory, variables), **own},
        }
        for service in plan.programs
        for name, own in instances(plan, service, binds)
    ]
    limits = {limit: plan.limits[limit] for limit in ("nofile", "nproc") if limit in plan.limits}
    cpus = plan.pins.server if plan.pins else ()
    write_text(
        directory / "services.json",
        json.dumps(
            {
                "services": services, "limits": limits, "cpus": cpus, "temporary": temporary,
                "grace_s": 0.0 if temporary and _may_be_killed(plan) else GRACE_S,
            },
            indent=1,
        ),
    )  # fmt: skip
    with (directory / "supervisor.log").open("wb") as log:
        return subprocess.Popen(
            [*PYTHON, "topolab.runtimes.supervisor", str(directory)],
            stdin=subprocess.PIPE if temporary else subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def _may_be_killed(plan: Plan) -> bool:
    """Whether nothing is lost where its servers get no time to end: a person's own app may have to clear away."""
    return not plan.own and not any(service.server.leaves_when_killed for service in plan.programs)


def _environment(plan: Plan, service: Service, directory: Path, variables: dict[str, str]) -> dict[str, str]:
    """The whole environment of a server process: nothing of the person's own shell is in it."""
    environment = {
        **variables,
        **importing.BARE,
        "HOME": variables["RUN_DIR"],
        "PYTHONPATH": str(importing.FOLDER if plan.own else paths.HOME),
        leftovers.MARK: str(directory),  # by this the processes are found again when everything else is lost
    }
    if lock := venvs.lock_of(plan, service):
        environment["VENV"] = str(lock.venv)
    return environment


def _lacks(server: Server) -> str | None:
    """Its program; where that is here, the first file of it that is not."""
    if server.program and not packages.find(server.program):
        return server.program
    return next((file for file in server.files if not Path(file).exists()), server.program)


def _how_to_install(server: Server) -> str:
    names = " ".join(packages.of_debian(server))
    return f"On Debian and Ubuntu: `sudo apt-get install {names}` (or `sudo make setup`); or use --runtime compose."


def _service_names(directory: Path) -> list[str]:
    try:
        return [service["name"] for service in json.loads((directory / "services.json").read_text())["services"]]
    except (OSError, ValueError, LookupError, TypeError):
        return []  # not written yet, or damaged: what runs is found without it


def _how_it_ended(directory: Path) -> str | None:
    try:
        reason = json.loads((directory / "exit.json").read_text())
    except (OSError, ValueError):
        return None
    if "problem" in reason:
        return str(reason["problem"])
    if "service" in reason:
        code = reason["returncode"]
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"
        return f"{reason['service']} {how}"
    return str(reason.get("reason", "stopped"))


def _last_lines(directory: Path, number: int = 12) -> tuple[str, ...]:
    lines = []
    for path in sorted(directory.glob("*.log")):
        lines += [f"{path.stem}: {line}" for line in path.read_text(errors="replace").splitlines()[-number:]]
    return tuple(lines)
