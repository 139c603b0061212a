"""Runs a plan as a Compose stack: the hand-written files of compose/, fed with the plan's environment file."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from topolab import paths
from topolab.errors import LabError, NotRunnable
from topolab.paths import shown
from topolab.plan import Plan
from topolab.runtimes import engine, images, state
from topolab.runtimes.base import Ask, Bind, RuntimeName, Say, Stack, bind, environment_file, lab_environment
from topolab.runtimes.greeting import until_healthy, who_serves
from topolab.runtimes.instrument import Instrument
from topolab.runtimes.interrupts import shielded
from topolab.runtimes.ports import choose
from topolab.store import write_text
from topolab.topology import MOST_INSTANCES

START_S = 60
ANSWER_S = 60.0  # an engine that needs longer for what takes a second or two hangs, and nobody can interrupt a `down`
GATE = "127.0.0.1:9100"  # in the pod's own network namespace
RUN_DIR = "/run/topolab"
SERVERS = "10001:10001"  # the servers' user and group, as compose/common.yaml has them
# `docker compose` looks at every container of its project, and falls over one that is being removed meanwhile:
# https://github.com/docker/compose/issues/5498, 8968. Whatever else the engine refuses may be as short-lived.
REFUSED = ("No such container", "Error response from daemon")
TRIES = 2
OUTER, INNER = 8000, 8001  # ports in the pod: where clients come, and the first of those behind a front


class ComposeRuntime:
    """Containers in a pod of their own network namespace."""

    name: RuntimeName = "compose"

    def check(self, plan: Plan) -> Plan:
        """Limits that the engine can't grant are refused; a stack has its own somaxconn, so any will do."""
        for service in plan.programs:
            folder = service.server.folder
            if not folder.is_relative_to(paths.HOME / "topologies"):
                raise NotRunnable(
                    f"{plan.name}: images are built from this repository, and {shown(folder)} is outside.",
                    remedy="Move the folder into topologies/servers/, or use --runtime process.",
                )
        highest = engine.highest_nofile()
        asked = plan.limits.get("nofile")
        if isinstance(asked, int) and highest is not None and asked > highest:
            if "nofile" in plan.demanded:
                raise LabError(
                    f"limit nofile={asked} is not reachable here: the engine's own hard limit is {highest} and it may "
                    f"not raise it. Write --set nofile={highest}, or raise the engine's (docker.service: LimitNOFILE=)."
                )
            plan = plan.with_limits({"nofile": highest})
        plan.require_startable()
        return plan

    def prepare(self, plans: Sequence[Plan], say: Say) -> dict[str, LabError]:
        """Every image that is missing."""
        return images.build(plans, say)

    def up(self, plan: Plan, name: str, *, port: int | None, temporary: bool) -> Stack:
        """`docker compose up --wait`; returns when the published port answers /healthz."""
        port = choose(port)
        for error in self.prepare([plan], lambda _: None).values():
            raise error
        directory = state.begin(name, plan, self.name, port=port, temporary=temporary)
        stack = ComposeStack(name, plan, port, binds(plan))
        variables = {**environment(plan, port), "PLAN_ENV": str(directory / "plan.env")}
        try:
            write_text(directory / "plan.env", environment_file(variables))
            result = engine.docker(
                [*_words(name), "up", "--detach", "--wait", "--wait-timeout", str(START_S), "--no-build", *unused(plan)]
            )
            if result.returncode:
                raise TimeoutError(_said(result))
            until_healthy(port, deadline_s=START_S, gone=lambda: False)
        except BaseException as error:
            with shielded():
                try:
                    last = _last_lines(name) if isinstance(error, TimeoutError) else ()
                finally:
                    stack.down()
            if isinstance(error, TimeoutError):
                raise LabError(
                    f"{plan.name} did not start: {error or 'it does not answer'}. Its last lines:", details=last
                ) from None
            raise
        return stack

    def stop(self, name: str) -> None:
        """Removes the stack's containers, network and volume. A stack that is not one of containers is left alone."""
        if not _is_mine(name):
            return
        result = _compose(name, "down", "--volumes", "--remove-orphans", "--timeout", "2")
        if result.returncode:
            raise LabError(f"{name} could not be stopped: {_said(result)}. Is the engine up? (`docker info`)")

    def alive(self, name: str) -> dict[str, str]:
        result = _compose(name, "ps", "--all", "--format", "json")
        services = {}
        for line in result.stdout.splitlines():
            container = json.loads(line)
            if container["Service"] == "front" or container["Service"].startswith("app"):
                how = container["State"]
                services[container["Service"]] = how if how == "running" else f"{how} ({container['ExitCode']})"
        return services or {"app": _said(result) or "its containers are gone"}

    def logs(self, name: str, *, follow: bool) -> int:
        if follow:
            return _followed(name)
        result = _compose(name, "logs", "--no-color")
        for line in result.stdout.splitlines():
            print(_plain(line))
        if result.returncode:
            raise LabError(f"{name}: its output can't be had: {_said(result)}. Is the engine up? (`docker info`)")
        return 0


@dataclass(slots=True)
class ComposeStack:
    """A plan that is up as containers."""

    name: str
    plan: Plan
    port: int
    bind: Bind

    def instrument(self, *, as_server: bool = False) -> AbstractContextManager[Ask]:
        """The instrument as another container of the pod."""
        user = ["--user", SERVERS] if as_server else []
        command = [
            "docker", *_words(self.name), "run", "--rm", "--no-TTY", "--no-deps", *user, "instrument", "session",
            *inside(self.bind).listeners(), "--gate", GATE, "--watch-stdin",
        ]  # fmt: skip
        return Instrument(command, environment=engine.environment(), again=REFUSED)

    def versions(self) -> dict[str, str]:
        return who_serves(self.port, self.plan)

    def image_bytes(self) -> dict[str, int]:
        return images.sizes(self.plan)

    def down(self) -> None:
        ComposeRuntime().stop(self.name)
        state.forget(self.name)


def binds(plan: Plan) -> Bind:
    """Not loopback for the outer one: a published port arrives on the pod's own address."""
    inner = range(INNER, INNER + MOST_INSTANCES)
    return bind(plan, outer=f"0.0.0.0:{OUTER}", run_dir=RUN_DIR, inner=inner)


def environment(plan: Plan, port: int) -> dict[str, str]:
    """The environment file of a stack in containers, but for its own path."""
    return {
        **plan.environment(),
        **lab_environment(bind=binds(plan), gate=GATE, run_dir=RUN_DIR),
        **images.names(plan),
        "PUBLISH_PORT": str(port),
    }


def files(variables: Mapping[str, str]) -> list[str]:
    """The files of compose/ that a stack with this environment file is made of."""
    wanted = {
        "compose.yaml": True,
        "front.yaml": "FRONT_IMAGE" in variables,
        "instances.yaml": "BIND2" in variables,
        "nproc.yaml": bool(variables.get("NPROC")),
        "nproc-instances.yaml": bool(variables.get("NPROC")) and "BIND2" in variables,
    }
    return [name for name, needed in wanted.items() if needed]


def unused(plan: Plan) -> list[str]:
    """Options of `up` that leave out the instances of instances.yaml that the plan has not."""
    if plan.topology.instances == 1:
        return []
    numbers = range(plan.topology.instances + 1, MOST_INSTANCES + 1)
    return [word for number in numbers for word in ("--scale", f"app{number}=0")]


def inside(bind: Bind) -> Bind:
    """The same listeners as seen on the pod's loopback, where all measuring happens."""
    front = bind.front and bind.front.replace("0.0.0.0", "127.0.0.1")
    return Bind(tuple(address.replace("0.0.0.0", "127.0.0.1") for address in bind.apps), front)


def _project(name: str) -> str:
    """Compose's name for a stack: another checkout of the lab on this machine has other projects."""
    checkout = hashlib.sha256(str(paths.STATE).encode()).hexdigest()[:6]
    return f"topolab-{checkout}-{name.replace('.', '-')}"


def _is_mine(name: str) -> bool:
    """Whether the stack is one of containers: only those name their images."""
    return "APP_IMAGE=" in _file_of(name)


def _plan_of(name: str) -> dict[str, str]:
    """A stack's environment file; empty where there is none, or a damaged one: Compose knows containers by the name."""
    lines = _file_of(name).splitlines()
    return dict(line.split("=", 1) for line in lines) if all("=" in line for line in lines) else {}


def _file_of(name: str) -> str:
    path = state.directory(name) / "plan.env"
    return path.read_text(errors="replace") if path.exists() else ""


def _words(name: str) -> list[str]:
    """`compose` with the files and the environment file of a recorded stack."""
    plan = _plan_of(name)
    words = ["compose", "--ansi", "never", "--project-name", _project(name)]
    if plan:
        words += ["--env-file", str(state.directory(name) / "plan.env")]
    return words + [word for file in files(plan) for word in ("--file", str(paths.COMPOSE / file))]


def _compose(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What is answered soon. A `LabError` where it is not. What the engine refuses is asked for once more."""
    try:
        for _ in range(TRIES):
            result = engine.docker([*_words(name), *arguments], timeout_s=ANSWER_S)
            if not result.returncode or not any(text in result.stderr for text in REFUSED):
                break
        return result
    except subprocess.TimeoutExpired:
        raise LabError(
            f"{name}: the container engine did not answer `docker compose {arguments[0]}` within {ANSWER_S:.0f} s. "
            "Is it well (`docker info`)? Restart it (`sudo service docker restart`), then type `topolab down`."
        ) from None


def _followed(name: str) -> int:
    """Prints what comes until Ctrl-C, or until the containers end; docker itself says what goes wrong."""
    words = ["docker", *_words(name), "logs", "--no-color", "--follow"]
    with subprocess.Popen(words, env=engine.environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                print(_plain(line), flush=True)
        except KeyboardInterrupt:
            process.terminate()
            return 0
    if process.returncode:
        raise LabError(f"{name}: its output can't be had any more. Is the engine up? (`docker info`)")
    return 0


def _said(result: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _last_lines(name: str, number: int = 12) -> tuple[str, ...]:
    result = _compose(name, "logs", "--no-color", "--no-log-prefix", "--tail", str(number))
    return tuple(_plain(line) for line in (result.stdout + result.stderr).splitlines() if line.strip())[-number:]


def _plain(line: str) -> str:
    """Compose puts "erase this line" before each, even with colours and control codes off."""
    return line.replace("\x1b[2K", "").rstrip()
