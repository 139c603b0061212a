#!/usr/bin/python
"""Ansible module: what logins, services and containers get at least, with what was there before kept for `untune`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.topolab_engine import DAEMON, flag, outdated, restart, said
from ansible.module_utils.topolab_originals import RECORD, Originals, Refused, edited
from ansible.module_utils.topolab_rlimits import RESOURCES, limits_of, parse_limits, reachable, running, text

DOCUMENTATION = r"""
module: raised_limits
short_description: What logins, services and containers get at least
description:
  - Raises the limits of logins (limits.d), of services (system.conf.d) and, where an engine runs, of containers
    (default-ulimits of daemon.json). A place that gives as much already is left alone; nothing is ever lowered.
  - Notes what was there before, ahead of any change.
  - Reads back what a fresh login and a fresh service get.
options:
  nofile:
    description: Open files of one process; 0 leaves what is there.
    type: int
    default: 0
  nproc:
    description: Threads of one user; 0 leaves what is there.
    type: int
    default: 0
  exclusive:
    description: Whether a smaller value than an earlier run's takes that one's place.
    type: bool
    default: true
  engine:
    description: Whether to raise what containers get.
    type: bool
    default: true
  record:
    description: Where the values from before are kept.
    type: path
    default: /var/lib/topolab/originals.json
author: Topolab
"""

EXAMPLES = r"""
- name: Give everybody 20000 descriptors
  raised_limits:
    nofile: 20000
"""

RETURN = r"""
wanted:
  description: The limits that hold now, by name.
  returned: always
  type: dict
given:
  description: Soft and hard limit that each place gives, null for unlimited.
  returned: always
  type: dict
files:
  description: Those of the changes that are files.
  returned: always
  type: list
short:
  description: Places that give less than that, in words.
  returned: always
  type: list
changes:
  description: What was changed, in words.
  returned: always
  type: list
notes:
  description: What was left as it is, and why.
  returned: always
  type: list
engine:
  description: Whether the engine has to be restarted (C(pending)), C(containers) that run, and C(live_restore).
  returned: always
  type: dict
"""

LOGIN = Path("/etc/security/limits.d/60-topolab.conf")
SERVICE = Path("/etc/systemd/system.conf.d/60-topolab.conf")
HEADER = "# Written by topolab (host_limits): its next run undoes edits, untune.yml removes this file.\n"

FLAG = "--default-ulimit"  # dockerd refuses to start where daemon.json says it as well

Limits = dict[str, "list[int | None]"]  # soft and hard by name; None is unlimited


def more(first: int | None, second: int | None) -> int | None:
    """The larger of two limits."""
    return None if first is None or second is None else max(first, second)


def less(limit: int | None, value: int) -> bool:
    return limit is not None and limit < value


# what each place gives


def login(user: str) -> Limits:
    """A fresh session of that user, as PAM opens it; empty when it is refused."""
    return parse_limits(said(["su", user, "-s", "/bin/sh", "-c", "cat /proc/self/limits"]))


def configured() -> Limits:
    """The defaults that systemd has in mind for services; the kernel may give less."""
    names = {"nofile": "DefaultLimitNOFILE", "nproc": "DefaultLimitNPROC"}
    properties = [f"--property={name}{soft}" for name in names.values() for soft in ("Soft", "")]
    shown = dict(line.split("=", 1) for line in said(["systemctl", "show", *properties]).split() if "=" in line)
    return {
        limit: [int(shown[f"{name}{soft}"]) if shown[f"{name}{soft}"].isdecimal() else None for soft in ("Soft", "")]
        for limit, name in names.items()
        if name in shown and f"{name}Soft" in shown
    }


def service() -> Limits:
    """What a fresh service gets."""
    return parse_limits(said(["systemd-run", "--quiet", "--collect", "--wait", "--pipe", "cat", "/proc/self/limits"]))


def containers() -> Limits:
    """What the engine gives a container that asks for nothing; empty where there is no engine, or its flags say it."""
    engine = running("dockerd")
    if not engine or flag(FLAG):
        return {}
    found: Limits = limits_of([*running("containerd"), *engine][0])
    try:
        ulimits = json.loads(text(DAEMON) or "{}").get("default-ulimits") or {}
        for name in RESOURCES:
            if name in ulimits:
                found[name] = [None if ulimits[name][key] < 0 else int(ulimits[name][key]) for key in ("Soft", "Hard")]
    except (ValueError, LookupError, TypeError, AttributeError):
        pass  # damaged: `merge` says so
    return found


def given() -> dict[str, Limits]:
    found = {"a login of nobody": login("nobody"), "a login of root": login("root")}
    if Path("/run/systemd/system").is_dir():
        found["services"] = configured()
        found["a fresh service"] = service()
    found["containers"] = containers()
    return {place: limits for place, limits in found.items() if limits}


# what is written


def needed(place: str, wanted: Mapping[str, int], base: Mapping[str, Limits]) -> Limits:
    """The limits of a place that have to be raised, as soft and hard."""
    return {
        name: [more(limit, value) for limit in base[place][name]]
        for name, value in wanted.items()
        if any(less(limit, value) for limit in base.get(place, {}).get(name, []))
    }


def of_logins(wanted: Mapping[str, int], base: Mapping[str, Limits]) -> bytes | None:
    """limits.d; `*` is everybody but root."""
    lines = [
        f"{who:<5} {kind} {name:<6} {value}\n"
        for who, place in (("*", "a login of nobody"), ("root", "a login of root"))
        for name, value in wanted.items()
        for kind, limit in zip(("soft", "hard"), base.get(place, {}).get(name, []))  # noqa: B905  (Python 3.9)
        if less(limit, value)
    ]
    return (HEADER + "".join(lines)).encode() if lines else None


def of_services(wanted: Mapping[str, int], base: Mapping[str, Limits]) -> bytes | None:
    """system.conf.d."""
    lines = [
        f"DefaultLimit{name.upper()}={':'.join('infinity' if limit is None else str(limit) for limit in pair)}\n"
        for name, pair in needed("services", wanted, base).items()
    ]
    return (HEADER + "[Manager]\n" + "".join(lines)).encode() if lines else None


def of_containers(wanted: Mapping[str, int], base: Mapping[str, Limits]) -> dict[str, dict[str, Any]]:
    """daemon.json."""
    ulimits = {
        name: dict(zip(("Name", "Soft", "Hard"), (name, *(-1 if limit is None else limit for limit in pair))))  # noqa: B905
        for name, pair in needed("containers", wanted, base).items()
    }
    return {"default-ulimits": ulimits} if ulimits else {}


def short(wanted: Mapping[str, int], found: Mapping[str, Limits]) -> list[str]:
    """Who gets less than that."""
    return [
        "{} gets {} {} (soft), {} (hard)".format(
            place, name, *("unlimited" if each is None else each for each in limit)
        )
        for place, limits in found.items()
        for name, limit in limits.items()
        if any(less(each, wanted.get(name, 0)) for each in limit)
    ]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "nofile": {"type": "int", "default": 0},
            "nproc": {"type": "int", "default": 0},
            "exclusive": {"type": "bool", "default": True},
            "engine": {"type": "bool", "default": True},
            "record": {"type": "path", "default": RECORD},
        },
        supports_check_mode=True,
    )
    try:
        record = Originals(Path(module.params["record"]), check=module.check_mode)
        asked = {name: module.params[name] for name in RESOURCES}
        result = apply(record, asked, exclusive=module.params["exclusive"], engine=module.params["engine"])
    except Refused as error:
        module.fail_json(msg=f"{error}.")
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}.")
    module.exit_json(
        changed=bool(record.changed), diff=record.diff, changes=record.changed, notes=record.notes, **result
    )


def apply(record: Originals, asked: Mapping[str, int], *, exclusive: bool, engine: bool) -> dict[str, Any]:
    """Note, write, reload, read back."""
    earlier: dict[str, int] = record.data["asked"]
    wanted = {
        name: value if value and exclusive else max(value, earlier.get(name, 0))
        for name, value in asked.items()
        if value or earlier.get(name)
    }
    refuse(wanted)
    before = given()
    # What was there before; of an engine that is stopped just now as well.
    noted: dict[str, Limits] = record.data["given"]
    base = {place: {**before.get(place, {}), **noted.get(place, {})} for place in {**before, **noted}}
    if not engine and "containers" not in noted:
        base.pop("containers", None)
    files = {LOGIN: of_logins(wanted, base), SERVICE: of_services(wanted, base)}
    keys = of_containers(wanted, base) if engine else {}
    if engine and flag(FLAG):
        record.notes.append(
            f"dockerd is started with {flag(FLAG)}, beside which daemon.json may not say it: left as it is"
        )
    edited(DAEMON.read_bytes() if keys and DAEMON.exists() else None, keys, DAEMON)  # refuses a damaged one by now
    raised = {place: {name: base[place][name] for name in needed(place, wanted, base)} for place in base}
    record.data["given"] = {place: limits for place, limits in raised.items() if limits}
    record.data["asked"] = wanted if record.data["given"] else {}
    for path, content in files.items():
        record.write(path, content)
    if engine:
        record.merge(DAEMON, keys)
    record.save()
    drift = list(record.changed)
    reload_services(record, needed("services", wanted, base) or base.get("services", {}), before)
    after = given() if record.changed and not record.check else before
    if not after.get("a login of nobody") and before.get("a login of nobody") and files[LOGIN]:
        record.write(LOGIN, None)
        record.save()
        raise Refused(f"with {LOGIN} a login of nobody was refused: that file is taken back, see `journalctl -t su`")
    record.notes += [
        f"{name}={value} changes nothing: everybody gets as much or more already"
        for name, value in wanted.items()
        if not short({name: value}, base)
    ]
    return {
        "wanted": wanted,
        "files": drift,
        "given": after,
        "short": short(wanted, {place: limits for place, limits in after.items() if place != "containers"}),
        "engine": restart(bool(keys) and outdated()),
    }


def refuse(wanted: Mapping[str, int]) -> None:
    """What can't be had, before anything is changed: PAM may refuse a login whose limit can't be set."""
    problems = []
    for name, value in wanted.items():
        most, bound = reachable(name, [value])
        if value > most:
            problems.append(f"{name}={value} can't be reached, {most} is the most here ({bound})")
    if problems:
        raise Refused("; ".join(problems))


def reload_services(record: Originals, wanted: Limits, before: Mapping[str, Limits]) -> None:
    """systemd reads its configuration again where it has other defaults in mind."""
    if "services" not in before or not shutil.which("systemctl"):
        return
    if all(before["services"].get(name) == pair for name, pair in wanted.items()):
        return
    if not record.check:
        said(["systemctl", "daemon-reload"])
    record.changed.append("systemd read its configuration again")


if __name__ == "__main__":
    main()
