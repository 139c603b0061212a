#!/usr/bin/python
"""Ansible module: several small files in one round trip, each replaced in one step; says what was there before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.topolab_originals import replace

DOCUMENTATION = r"""
module: write_files
short_description: Writes several small text files in one round trip
description:
  - A file that has its content and mode already is left alone. Missing directories are made (0755).
  - The files are root's where root runs it.
options:
  files:
    description:
      - Each has a C(path), and either C(content) and C(mode) ("0644" unless said), or the target of a symbolic C(link).
      - One with neither is to be absent.
    type: list
    elements: dict
    required: true
author: Topolab
"""

EXAMPLES = r"""
- name: Write the plan and remove what a former one left
  write_files:
    files:
      - {path: /etc/topolab/stacks/example/plan.env, content: "WORKERS=4\n"}
      - {path: /etc/systemd/system/docker.service.wants/example.service, link: ../example.service}
      - {path: /etc/topolab/stacks/example/compose}
"""

RETURN = r"""
paths:
  description: The files that were changed.
  returned: always
  type: list
former:
  description: All files as they were before, in the form of C(files).
  returned: always
  type: list
"""


def current(path: Path) -> dict[str, Any]:
    """What is there now, in the form of `files`."""
    if path.is_symlink():
        return {"path": str(path), "link": str(path.readlink())}
    if not path.exists():
        return {"path": str(path)}
    mode = f"{path.stat().st_mode & 0o7777:04o}"
    return {"path": str(path), "content": path.read_text(errors="surrogateescape"), "mode": mode}


def wanted(file: dict[str, Any]) -> dict[str, Any]:
    """The same, of what is asked for."""
    if file.get("link") is not None:
        return {"path": file["path"], "link": file["link"]}
    if file.get("content") is None:
        return {"path": file["path"]}
    return {"path": file["path"], "content": file["content"], "mode": file.get("mode", "0644")}


def shown(file: dict[str, Any]) -> str:
    """For a diff."""
    return f"-> {file['link']}\n" if "link" in file else str(file.get("content", ""))


def write(files: list[dict[str, Any]], *, check: bool) -> dict[str, Any]:
    """Brings every file to what is asked."""
    changed, former, diff = [], [], []
    for file in map(wanted, files):
        path = Path(file["path"])
        before = current(path)
        former.append(before)
        if before == file:
            continue
        changed.append(str(path))
        header = f"{path} ({file.get('mode', 'link' if 'link' in file else 'absent')})"
        diff.append({"before_header": header, "after_header": header, "before": shown(before), "after": shown(file)})
        if not check:
            put(path, file)
    return {"changed": bool(changed), "paths": changed, "former": former, "diff": diff}


def put(path: Path, file: dict[str, Any]) -> None:
    """Writes one."""
    if "content" in file:
        make_directories(path)
        replace(path, file["content"].encode(errors="surrogateescape"), int(file["mode"], 8), (0, 0))
        return
    if path.is_symlink() or path.exists():
        path.unlink()
    if "link" in file:
        make_directories(path)
        path.symlink_to(file["link"])


def make_directories(path: Path) -> None:
    for directory in reversed([each for each in path.parents if not each.exists()]):
        directory.mkdir(mode=0o755, exist_ok=True)
        directory.chmod(0o755)  # whatever the umask


def main() -> None:
    module = AnsibleModule(
        argument_spec={"files": {"type": "list", "elements": "dict", "required": True}}, supports_check_mode=True
    )
    try:
        module.exit_json(**write(module.params["files"], check=module.check_mode))
    except OSError as error:
        module.fail_json(msg=f"{error.filename} can't be written: {error.strerror}")


if __name__ == "__main__":
    main()
