"""What a runtime is: where a plan runs, and what can be asked of a stack that is up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from topolab.errors import LabError
from topolab.plan import Plan
from topolab.topology import Service

RuntimeName = Literal["process", "compose"]
Event = dict[str, Any]  # one JSON line of the instrument
Ask = Callable[[Sequence[str]], Iterator[Event]]  # an experiment's words to its events as they come, its result last
Say = Callable[[str], None]  # takes one line of commentary for the person who waits


class Stack(Protocol):
    """A plan that is up."""

    name: str
    plan: Plan
    port: int

    def instrument(self, *, as_server: bool = False) -> AbstractContextManager[Ask]:
        """The instrument beside the server, to be asked for one experiment after the other.

        Leaving the context stops it, whatever happened inside. `as_server`: with the servers' own user, which may look
        at their memory; otherwise it may be another one.
        """

    def versions(self) -> dict[str, str]:
        """Versions of what serves, from the servers themselves and their locks."""

    def image_bytes(self) -> dict[str, int]:
        """Sizes of the servers' images by service; empty where there are none."""

    def down(self) -> None:
        """Stops every process of the stack and removes what it left."""


class Runtime(Protocol):
    """Where plans run."""

    name: RuntimeName

    def check(self, plan: Plan) -> Plan:
        """Preflight: touches nothing.

        Returns the plan with what this host fixes filled in. Raises `NotRunnable` where the topology can't
        run here, `LabError` where a limit is not reachable.
        """

    def prepare(self, plans: Sequence[Plan], say: Say) -> dict[str, LabError]:
        """Makes what the plans need and is kept for the next time: virtualenvs, images.

        What can't be made is an error by the name of each topology that needs it.
        """

    def up(self, plan: Plan, name: str, *, port: int | None, temporary: bool) -> Stack:
        """Starts a plan and returns when it is healthy.

        `port` None takes any free port. A temporary stack ends with the process that started it, however
        that one ends. On failure nothing is left running, and the error holds the server's last lines.
        """

    def stop(self, name: str) -> None:
        """Stops the stack of that name from its record, also when the lab that started it was killed."""

    def alive(self, name: str) -> dict[str, str]:
        """State of each service of a recorded stack: "running", or how it ended."""

    def logs(self, name: str, *, follow: bool) -> int:
        """Prints the services' logs to stdout; returns the exit status."""


@dataclass(frozen=True, slots=True)
class Bind:
    """Addresses of a stack's listeners, as the `run` scripts and the instrument take them."""

    apps: tuple[str, ...]  # one for each instance of the app server
    front: str | None

    def listeners(self) -> list[str]:
        """The instrument's `--listener` arguments."""
        named = [f"front={self.front}"] if self.front else []
        named += [f"app={address}" for address in self.apps]
        return [word for name in named for word in ("--listener", name)]

    def environment(self) -> dict[str, str]:
        """What the `run` scripts read: BIND of the first instance, BIND2 of the second ..., and BINDS of all."""
        binds = {f"BIND{number}" if number > 1 else "BIND": address for number, address in enumerate(self.apps, 1)}
        fronts = {"FRONT_BIND": self.front, "BINDS": " ".join(self.apps)} if self.front else {}
        return {**binds, **fronts}


def bind(plan: Plan, *, outer: str, run_dir: str, inner: Sequence[int]) -> Bind:
    """Where a plan's services listen: clients at `outer`, a front's apps over TCP at `inner`."""
    if not plan.front:
        return Bind((outer,), None)
    instances = plan.topology.instances
    if plan.listen == "unix":
        name = plan.app.server.socket_name
        return Bind(tuple(f"unix:{run_dir}/{name.format(instance=number + 1)}" for number in range(instances)), outer)
    return Bind(tuple(f"127.0.0.1:{inner[number]}" for number in range(instances)), outer)


def instances(plan: Plan, service: Service, bind: Bind) -> Iterator[tuple[str, dict[str, str]]]:
    """A service's programs by name, and what differs in the environment of each."""
    yield service.name, {}
    if service.name == "app":
        for number, address in enumerate(bind.apps[1:], 2):
            yield f"app{number}", {"BIND": address}


def lab_environment(*, bind: Bind, gate: str, run_dir: str) -> dict[str, str]:
    """What a runtime adds to the plan's environment file."""
    return {**bind.environment(), "GATE": gate, "RUN_DIR": run_dir, "TOPOLAB_LAB_ROUTES": "1"}


def environment_file(variables: dict[str, str]) -> str:
    """The flat file: what Compose, systemd and Ansible read alike."""
    return "".join(f"{key}={value}\n" for key, value in variables.items())
