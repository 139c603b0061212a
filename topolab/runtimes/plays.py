"""Runs a playbook of ansible/ on many hosts at once, through ansible-runner; says how it ended on each."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from topolab import paths
from topolab.errors import LabError
from topolab.store import write_text

OnStep = Callable[[str, str], None]  # a host, and what it does now
ANSIBLE = paths.HOME / "ansible"
FORKS = 10  # hosts at a time
POLL_S = 0.2  # how soon an interruption is noticed
HANDED_BACK = "topolab_result"  # the fact with which a playbook ends on each host


@dataclass(slots=True)
class Ended:
    """How a playbook ended on one host: with what it handed back, or with one clear line."""

    result: dict[str, Any] | None = None
    problem: str | None = None
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Inventory:
    """Hosts as Ansible knows them: a file of any kind that it reads; `only` is a pattern that leaves some out."""

    path: str
    only: str | None = None

    @property
    def words(self) -> list[str]:
        """How a person names them on the command line."""
        return ["--hosts", self.path, *(["--only", self.only] if self.only else [])]

    def __post_init__(self) -> None:
        if not Path(self.path).exists() or not self.path:
            raise LabError(
                f"{self.path}: there is no such inventory. Copy ansible/inventory/example.yml and put your hosts in."
            )


def play(name: str, inventory: Inventory, variables: Mapping[str, Any], on_step: OnStep) -> dict[str, Ended]:
    """Runs ansible/<name>.yml; how it ended, by host.

    Raises `LabError` when it could not run at all: no Ansible here, an inventory that can't be read, no host in it.
    An interruption ends it; what the hosts have begun by then may go on for a moment.
    """
    try:
        import ansible_runner
    except ImportError as error:
        raise LabError("Ansible is not installed here. Type: make ansible") from error
    told = _Told(on_step)
    with tempfile.TemporaryDirectory(prefix="topolab-play-") as folder:
        file = Path(folder, "variables.json")
        file.write_text(json.dumps(dict(variables)))
        stop, ended = threading.Event(), threading.Event()
        ends: list[Any] = []

        def work() -> None:
            try:
                ends.append(
                    ansible_runner.run(
                        private_data_dir=folder,
                        playbook=str(ANSIBLE / f"{name}.yml"),
                        inventory=str(Path(inventory.path).resolve()),
                        limit=inventory.only,
                        cmdline=f"--extra-vars @{file}",
                        forks=FORKS,
                        envvars=_environment(),
                        settings={"pexpect_timeout": POLL_S},
                        fact_cache_type="memory",
                        event_handler=told.event,
                        cancel_callback=stop.is_set,
                        quiet=True,
                    )
                )
            finally:
                ended.set()

        threading.Thread(target=work, daemon=True).start()  # so that signals find this one waiting
        try:
            while not ended.wait(POLL_S):
                pass
        except BaseException:
            stop.set()
            ended.wait()  # nothing of it may be under way when what it has begun is taken back
            raise
        finally:
            log = _keep_log(name, "".join(f"{line}\n" for line in told.lines))
    if told.stats is None:
        raise LabError(_why_not_at_all(inventory, told, ends[0].rc if ends else 1), details=(f"All it said: {log}",))
    if not told.hosts:
        raise LabError(f"{inventory.path}: {_nobody(inventory)}")
    return told.ended()


@dataclass(slots=True)
class _Told:
    """What Ansible tells as it goes."""

    on_step: OnStep
    hosts: dict[str, Ended] = field(default_factory=dict)
    stats: dict[str, dict[str, int]] | None = None
    lines: list[str] = field(default_factory=list)
    entered: set[tuple[str, str]] = field(
        default_factory=set
    )  # roles that a host does not skip, from their first task on

    def event(self, event: dict[str, Any]) -> bool:
        """One event; False: it needs no file."""
        if event.get("stdout"):
            self.lines.append(_plain(event["stdout"]))
        data = event.get("event_data", {})
        host, result = data.get("host"), data.get("res") or {}
        match event["event"]:
            case "runner_on_start":
                self.hosts.setdefault(host, Ended())
                if not data.get("role") or (host, data["role"]) in self.entered:
                    self._tell(host, data)
            case "runner_on_ok":
                if data.get("role") and (host, data["role"]) not in self.entered:
                    self.entered.add((host, data["role"]))
                    self._tell(host, data)
                facts = result.get("ansible_facts")
                if isinstance(facts, dict) and HANDED_BACK in facts:
                    self.hosts[host].result = facts[HANDED_BACK]
            case "runner_on_failed" | "runner_item_on_failed" | "runner_on_unreachable":
                ended = self.hosts.setdefault(host, Ended())
                text = clear(result)
                if event["event"] != "runner_on_failed" or "results" not in result:  # its items have been told
                    ended.problem = text
            case "playbook_on_stats":
                self.stats = {key: value for key, value in data.items() if isinstance(value, dict)}
        return False

    def _tell(self, host: str, data: Mapping[str, Any]) -> None:
        if step := _step(data):
            self.on_step(host, step)

    def ended(self) -> dict[str, Ended]:
        """By host. A failure that a playbook has dealt with itself is none."""
        assert self.stats is not None
        for host, ended in self.hosts.items():
            ended.changed = self.stats.get("changed", {}).get(host, 0)
            if host in self.stats.get("failures", {}) or host in self.stats.get("dark", {}):
                ended.result = None
                ended.problem = ended.problem or "failed, and did not say why"
            else:
                ended.problem = None if ended.result is not None else "was left half-way: the others' failure ended it"
        return dict(sorted(self.hosts.items()))


def _step(data: Mapping[str, Any]) -> str:
    role = str(data.get("role") or "").replace("_", " ")
    task = str(data.get("task") or "").removeprefix(f"{data.get('role')} : ")
    if role:
        return f"{role}: {task}"
    return "connecting" if data.get("task_action") in ("gather_facts", "setup", "ansible.builtin.setup") else ""


# What ssh, sudo and the kernel say, and what it means for who typed the command.
CLEAR = (
    (r"Permission denied \(|no such identity|Load key", "ssh does not let us in ({last}). Name its user and key in the "
     "inventory: ansible_user, ansible_ssh_private_key_file."),
    (r"[Hh]ost key verification failed|REMOTE HOST IDENTIFICATION", "ssh does not trust its host key. Look at it with "
     "`ssh` once, and accept it if it is the right one."),
    (r"Failed to connect to the host|could not be sent to remote host|Connection timed out|unreachable",
     "can't be reached: {last}."),
    (r"[Mm]issing sudo password|password is required|a terminal is required", "sudo asks for a password. Put "
     "ansible_become_password into the inventory (ansible-vault), or name a file in ANSIBLE_BECOME_PASSWORD_FILE."),
    (r"not in the sudoers file|not allowed to (execute|run sudo)|sudo: not found|sudo.*command not found", "its user "
     "may not use sudo. Log in as one who may: ansible_user."),
    (r"No space left on device", "its disk is full: {last}. Free some space, then type the same again."),
    (r"python3?: not found|python3?: No such file|interpreter .* was not found", "has no python3: install it there "
     "(sudo apt-get install python3)."),
)  # fmt: skip


def clear(result: Mapping[str, Any]) -> str:
    """A failed task's own words as one clear line."""
    parts = [str(result.get(key) or "") for key in ("msg", "module_stderr", "stderr")]
    said = "\n".join(dict.fromkeys(part.strip() for part in parts if part.strip()))
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = re.sub(r"^(.*(ssh|sudo): )", "", lines[-1].rstrip(".")) if lines else ""
    for pattern, text in CLEAR:
        if re.search(pattern, said):
            return text.format(last=last)
    return re.sub(r"^(Task failed: |Action failed: |Module failed: )+", "", " ".join(lines)) or "failed"


def _why_not_at_all(inventory: Inventory, told: _Told, status: int) -> str:
    said = [line.strip() for text in told.lines for line in text.splitlines() if line.strip()]
    if any("no hosts matched" in line or "not match" in line for line in said):
        return f"{inventory.path}: {_nobody(inventory)}"
    errors = [re.sub(r"^\[?ERROR\]?[!:]+ ?", "", line) for line in said if re.match(r"\[?ERROR", line)]
    why = errors[0] if errors else said[-1] if said else f"it ended with status {status}"
    return f"Ansible could not run with {inventory.path}: {why}"


def _nobody(inventory: Inventory) -> str:
    pattern = f' that "{inventory.only}" matches' if inventory.only else ""
    return f"there is no host{pattern}. `ansible-inventory -i {inventory.path} --graph` shows what it holds."


def _environment() -> dict[str, str]:
    """Ansible's own configuration is the repository's; the rest is the person's."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
        "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORCE_COLOR": "0",
    }


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text).rstrip()


def _keep_log(name: str, text: str) -> str:
    """What Ansible printed last, for whoever wants all of it. Its place."""
    path = paths.STATE / "ansible" / f"{name}.log"
    with contextlib.suppress(LabError):  # a state folder that can't be written is no reason not to say what happened
        write_text(path, text)
    return paths.shown(path)
