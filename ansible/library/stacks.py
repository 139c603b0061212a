#!/usr/bin/python
"""Ansible module: the stacks on this host, how their services are, and what those said. Changes nothing."""

from __future__ import annotations

import calendar
import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: stacks
short_description: The stacks on a host, how their services are, and what those said
description:
  - Reads the records of the lab, and asks the engine and systemd. Changes nothing.
options:
  names:
    description: The stacks to look at; all of them where none is named. One that is not there is left out.
    type: list
    elements: str
    default: []
  lines:
    description: How many of the last lines of each stack's output to return.
    type: int
    default: 0
  since:
    description: Lines from that moment on only, as C(at) of a line gave it.
    type: str
    default: ""
author: Topolab
"""

EXAMPLES = r"""
- name: Ask what is up
  stacks:
    lines: 100
  register: found
"""

RETURN = r"""
stacks:
  description:
    - Each record (C(stack), C(topology), C(runtime), C(port), C(started), ...) with C(services), "running" or how it
      ended by name; with C(expired), whether a temporary one has ended by itself; and with C(lines), each of
      which has C(at), C(service) and C(text).
  returned: always
  type: list
"""

STACKS = Path("/etc/topolab/stacks")
ASK_S = 20
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": "/root"}

Ask = Callable[[Sequence[str]], "str | None"]


def asked(words: Sequence[str]) -> str | None:
    """What a command says; None where it can't be run, or fails."""
    if not shutil.which(words[0], path=PATH):
        return None
    try:
        result = subprocess.run(
            words,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=ASK_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return None if result.returncode else result.stdout.decode(errors="replace")


def records(names: Iterable[str], directory: Path = STACKS) -> list[dict[str, Any]]:
    """What is written down; of a damaged record, or a stack that died before it had one, the name and the runtime."""
    wanted = set(names)
    found = []
    for path in sorted(directory.glob("*")):
        if not path.is_dir() or (wanted and path.name not in wanted):
            continue
        record: dict[str, Any] = {
            "topology": path.name,
            "runtime": "compose" if (path / "compose").exists() else "systemd",
            "port": 0,
            "release": "",
            "temporary": False,
            "lifetime_s": 0,
            "started": "",
            "services": [],
        }
        try:
            read = json.loads((path / "stack.json").read_text())
            record.update(read if isinstance(read, dict) else {"problem": "stack.json holds no object"})
        except (OSError, ValueError) as error:
            record["problem"] = str(error)
        found.append({**record, "name": path.name, "stack": path.name})
    return found


def project(name: str) -> str:
    """Compose's name for a stack."""
    return f"topolab-{name.replace('.', '-').lower()}"


def expired(record: dict[str, Any], how: dict[str, str], now_s: float) -> bool:
    """Whether a temporary stack has ended by itself, because nobody took it down in time."""
    try:
        started_s = calendar.timegm(time.strptime(record["started"], "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return False
    over = now_s > started_s + int(record["lifetime_s"])
    return bool(record["temporary"]) and over and "running" not in how.values()


def containers(ask: Ask) -> dict[str, dict[str, str]] | None:
    """How each service is, by project; None where the engine does not answer."""
    template = "\t".join(
        [
            '{{.Label "com.docker.compose.project"}}',
            '{{.Label "com.docker.compose.service"}}',
            "{{.State}}",
            "{{.Status}}",
        ]
    )
    said = ask(["docker", "ps", "--all", "--filter", "label=com.docker.compose.oneoff=False", "--format", template])
    if said is None:
        return None
    found: dict[str, dict[str, str]] = {}
    for line in said.splitlines():
        name, service, how, status = (line.split("\t") + [""] * 4)[:4]
        code = re.search(r"\((\d+)\)", status)
        found.setdefault(name, {})[service] = f"{how} ({code[1]})" if how != "running" and code else how
    return found


def units(name: str, services: Iterable[str], ask: Ask) -> dict[str, str]:
    """How each service's unit is."""
    names = {f"topolab-{name}-{service}.service": service for service in services}
    if not names:
        return {}
    keys = ("Id", "ActiveState", "SubState", "Result", "ExecMainCode", "ExecMainStatus")
    said = ask(["systemctl", "show", f"--property={','.join(keys)}", *names]) or ""
    found = {}
    for block in said.strip().split("\n\n"):
        shown = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if shown.get("Id") in names:
            found[names[shown["Id"]]] = unit(shown)
    return found


def unit(shown: dict[str, str]) -> str:
    """How a unit is, in a word."""
    if shown["ActiveState"] == "active":
        return "running"
    if shown["ActiveState"] in ("activating", "deactivating", "reloading"):
        return "restarting" if shown["SubState"] == "auto-restart" else shown["ActiveState"]
    if shown["Result"] == "timeout":
        return "ended (its time was over)"
    status = int(shown["ExecMainStatus"] or 0)
    if shown["ExecMainCode"] in ("2", "3"):  # CLD_KILLED, CLD_DUMPED
        return f"killed ({signal.Signals(status).name})"
    return f"exited ({status})"


def compose_lines(record: dict[str, Any], number: int, since: str, ask: Ask) -> list[dict[str, str]]:
    """The containers' output."""
    words = ["docker", "compose", "--ansi", "never", "--project-name", project(record["name"])]
    words += ["logs", "--no-color", "--timestamps", "--tail", str(number)]
    found = []
    said = ask([*words, *(["--since", since] if since else [])]) or ""
    for line in said.replace("\x1b[2K", "").splitlines():
        parts = re.match(r"(\S+?)(?:-1)? +\| (\S+Z) ?(.*)", line)
        if parts and not parts[1].startswith(("pod", "instrument")):
            found.append({"at": parts[2], "service": parts[1], "text": parts[3].rstrip()})
    return sorted(found, key=lambda line: line["at"])


def unit_lines(record: dict[str, Any], number: int, since: str, ask: Ask) -> list[dict[str, str]]:
    """The units' output, and what systemd says of them."""
    names = {f"topolab-{record['name']}-{service}.service": service for service in record["services"]}
    words = ["journalctl", "--quiet", "--no-pager", "--output=json", f"--lines={4 * number}"]
    words += [f"--unit={name}" for name in names]
    since = since or record["started"]  # the journal still has what an earlier stack of this name said
    if since:
        words.append(f"--since={since.replace('T', ' ').replace('Z', ' UTC')}")
    found = []
    for line in (ask(words) or "").splitlines() if names else ():
        entry = json.loads(line)
        seconds, micros = divmod(int(entry["__REALTIME_TIMESTAMP"]), 1_000_000)
        text = entry.get("MESSAGE") or ""
        if isinstance(text, list):  # bytes that are no UTF-8
            text = bytes(text).decode(errors="replace")
        service = names.get(entry.get("_SYSTEMD_UNIT", ""))
        if service is None and "Main process exited" in text:
            service = names.get(entry.get("UNIT", ""))
        if service is None:  # systemd's own commentary
            continue
        at = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{micros:06}Z"
        found.append({"at": at, "service": service, "text": text.rstrip()})
    return found[-number:]


def stacks(
    names: Iterable[str] = (), lines: int = 0, since: str = "", ask: Ask = asked, directory: Path = STACKS
) -> list[dict[str, Any]]:
    """All of it."""
    found = records(names, directory)
    by_project = containers(ask) if any(record["runtime"] == "compose" for record in found) else {}
    for record in found:
        if record["runtime"] == "compose":
            there = (by_project or {}).get(project(record["name"]), {})
            lost = "unknown (the engine does not answer)" if by_project is None else "gone"
            how = {name: there.get(name, lost) for name in record["services"] or sorted(set(there) - {"pod"})}
            read = compose_lines
        else:
            how = units(record["name"], record["services"], ask)
            read = unit_lines
        record.update(
            services=how,
            expired=expired(record, how, time.time()),
            lines=read(record, lines, since, ask) if lines else [],
        )
    return found


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "default": []},
            "lines": {"type": "int", "default": 0},
            "since": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, stacks=stacks(**module.params))


if __name__ == "__main__":
    main()
