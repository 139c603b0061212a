#!/usr/bin/python
"""Ansible module: takes back what the lab has changed on a host, exactly that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.topolab_engine import DAEMON, restart, said
from ansible.module_utils.topolab_originals import RECORD, Originals, Refused
from ansible.module_utils.topolab_rlimits import running

DOCUMENTATION = r"""
module: untuned
short_description: Takes back what the lab has changed on a host
description:
  - Puts every kernel value and file back as the record says. What somebody else has changed since stays, and is named.
  - The record goes last, so that an interrupted run is completed by the next one.
options:
  only:
    description: Files to put back; without any, everything is.
    type: list
    elements: path
    default: []
  record:
    description: Where the values from before are kept.
    type: path
    default: /var/lib/topolab/originals.json
author: Topolab
"""

EXAMPLES = r"""
- name: Take back what the lab has changed
  untuned:
"""

RETURN = r"""
tuned:
  description: Whether there was anything to take back.
  returned: always
  type: bool
values:
  description: The kernel values that the lab had changed, as they are now.
  returned: always
  type: dict
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


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "only": {"type": "list", "elements": "path", "default": []},
            "record": {"type": "path", "default": RECORD},
        },
        supports_check_mode=True,
    )
    try:
        record = Originals(Path(module.params["record"]), check=module.check_mode)
        result = give_back(record, [Path(path) for path in module.params["only"]])
    except Refused as error:
        module.fail_json(msg=f"{error}. What was not taken back yet is in {module.params['record']}: run this again.")
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}. Run this again once that is mended.")
    module.exit_json(
        changed=bool(record.changed), diff=record.diff, changes=record.changed, notes=record.notes, **result
    )


def give_back(record: Originals, only: list[Path]) -> dict[str, Any]:
    """Files first, so that nothing sets a value again at the next boot; then the values; then the record."""
    tuned = not record.empty
    names = list(record.data["sysctls"])
    touched = set()
    for path in [Path(name) for name in record.data["files"]]:
        if (not only or path in only) and record.give_back_file(path):
            touched.add(path)
    if any("system.conf.d" in path.parts for path in touched) and not record.check:
        said(["systemctl", "daemon-reload"])
    if not only:
        for name in names:
            record.give_back_sysctl(name)
    record.save()
    return {
        "tuned": tuned,
        "values": {name: record.number(name) for name in names},
        "engine": restart(DAEMON in touched and not record.check and bool(running("dockerd"))),
    }


if __name__ == "__main__":
    main()
