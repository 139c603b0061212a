#!/usr/bin/python
"""Ansible module: kernel values, live and at every boot, with what was there before kept for `untune`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.topolab_originals import RECORD, SYSCTL_DROP_IN, Originals, Refused, overruled, spaced

DOCUMENTATION = r"""
module: kernel_values
short_description: Kernel values, live and at every boot
description:
  - Sets the live values, and writes a drop-in of sysctl.d with one why and one source for each.
  - Notes what was there before, ahead of any change.
  - A value that an earlier run set and this one doesn't name goes back to what it was.
options:
  values:
    description: The values, each with C(name), C(value), C(why) and C(source).
    type: list
    elements: dict
    required: true
  exclusive:
    description: Whether these are all. Otherwise what earlier runs set and this one doesn't name stays.
    type: bool
    default: true
  path:
    description: The drop-in.
    type: path
    default: /etc/sysctl.d/60-topolab.conf
  record:
    description: Where the values from before are kept.
    type: path
    default: /var/lib/topolab/originals.json
author: Topolab
"""

EXAMPLES = r"""
- name: Let a server's own backlog be what counts
  kernel_values:
    values:
      - {name: net.core.somaxconn, value: 16384, why: The cap on every listen backlog., source: listen(2)}
"""

RETURN = r"""
values:
  description: What the kernel says now, by name.
  returned: always
  type: dict
wrong:
  description: Values that are not what was asked, in words.
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
"""

HEADER = "# Written by topolab (kernel_network): its next run undoes edits, untune.yml removes this file.\n"


def drop_in(values: Iterable[Mapping[str, Any]]) -> str:
    """The file for sysctl.d."""
    return HEADER + "".join(
        f"\n# {spaced(value['why'])}\n# Source: {spaced(value['source'])}\n{value['name']} = {spaced(value['value'])}\n"
        for value in values
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "values": {"type": "list", "elements": "dict", "required": True},
            "exclusive": {"type": "bool", "default": True},
            "path": {"type": "path", "default": SYSCTL_DROP_IN},
            "record": {"type": "path", "default": RECORD},
        },
        supports_check_mode=True,
    )
    try:
        record = Originals(Path(module.params["record"]), check=module.check_mode)
        result = apply(record, module.params["values"], Path(module.params["path"]), module.params["exclusive"])
    except Refused as error:
        module.fail_json(msg=f"{error}.")
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}.")
    module.exit_json(
        changed=bool(record.changed), diff=record.diff, changes=record.changed, notes=record.notes, **result
    )


def apply(record: Originals, asked: list[dict[str, Any]], path: Path, exclusive: bool) -> dict[str, Any]:
    """Note, write, set, read back."""
    named = {value.get("name", ""): value for value in asked}
    before = {
        name: {"name": name, "value": entry["ours"][-1], "why": entry["why"], "source": entry["source"]}
        for name, entry in record.data["sysctls"].items()
    }
    wanted = dict(sorted((named if exclusive else {**before, **named}).items()))
    refuse(record, wanted, path)
    record.note_sysctls(wanted.values())
    record.write(path, drop_in(wanted.values()).encode() if wanted else None)
    problems = {name: record.set_sysctl(name, spaced(value["value"])) for name, value in wanted.items()}
    dropped = [name for name in before if name not in wanted]
    for name in dropped:
        record.give_back_sysctl(name)
    if dropped or not wanted:
        record.save()
    refused = [
        f"{name}={wanted[name]['value']}: the kernel says {problem}" for name, problem in problems.items() if problem
    ]
    if refused:
        raise Refused("; ".join(refused))
    live = {name: record.live(name) for name in wanted}
    return {
        "values": {name: record.number(name) for name in wanted},
        "wrong": [
            f"{name} is {live[name]} where {spaced(value['value'])} was asked"
            for name, value in wanted.items()
            if live[name] != spaced(value["value"])
        ],
    }


def refuse(record: Originals, wanted: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """What is in the way, before anything is changed."""
    problems = [
        f"{value.get('name', 'a kernel value')} has no {key}: say it in kernel_network_values"
        for value in wanted.values()
        for key in ("value", "why", "source")
        if key not in value
    ]
    if problems:
        raise Refused("; ".join(problems))
    problems = [
        f"this kernel has no {name}, which was to be {value['value']}: leave it out"
        for name, value in wanted.items()
        if record.live(name) is None
    ]
    later = overruled({name: spaced(value["value"]) for name, value in wanted.items()}, path)
    problems += [f"{line} at every boot, after {path}: take that line out" for line in later]
    if problems:
        raise Refused("; ".join(problems))


if __name__ == "__main__":
    main()
