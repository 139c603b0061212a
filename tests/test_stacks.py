"""The modules and templates that bring stacks up on hosts: what they say of stacks, files and differences."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pytest

from tests.modules import load
from topolab import paths

stacks = load("stacks")
write_files = load("write_files")

RECORD = {
    "topology": "nginx-gunicorn-sync", "runtime": "compose", "port": 8000, "release": "1f2e3d", "temporary": False,
    "lifetime_s": 0, "started": "2026-01-31T12:00:00Z", "services": ["app", "front"],
}  # fmt: skip


class Answers:
    """Commands and what they say, by how they begin; None where one fails."""

    def __init__(self, **said: str | None) -> None:
        self.said = {words.replace("_", " "): text for words, text in said.items()}
        self.asked: list[str] = []

    def __call__(self, words: Sequence[str]) -> str | None:
        command = " ".join(words)
        self.asked.append(command)
        found = [text for start, text in self.said.items() if command.startswith(start) or f" {start} " in command]
        assert found, command
        return found[0]


def stack(folder: Path, name: str = "nginx-gunicorn-sync", **changes: object) -> Path:
    """A stack's folder with its record."""
    place = folder / name
    place.mkdir()
    (place / "stack.json").write_text(json.dumps({**RECORD, **changes}))
    if changes.get("runtime", "compose") == "compose":
        (place / "compose").touch()
    return place


def test_containers(tmp_path: Path) -> None:
    """Each service of a record is running, or how it ended, or gone; other projects don't count."""
    stack(tmp_path)
    ask = Answers(
        docker_ps="topolab-nginx-gunicorn-sync\tapp\texited\tExited (137) 2 minutes ago\n"
        "topolab-nginx-gunicorn-sync\tpod\trunning\tUp 2 minutes\n"
        "topolab-other\tfront\trunning\tUp 2 minutes\n"
    )
    (found,) = stacks.stacks(ask=ask, directory=tmp_path)
    assert found["services"] == {"app": "exited (137)", "front": "gone"}
    assert (found["stack"], found["port"], found["expired"], found["lines"]) == ("nginx-gunicorn-sync", 8000, False, [])


def test_no_engine(tmp_path: Path) -> None:
    """Where the engine does not answer, nobody says that containers are gone."""
    stack(tmp_path)
    (found,) = stacks.stacks(ask=Answers(docker_ps=None), directory=tmp_path)
    assert found["services"]["app"] == "unknown (the engine does not answer)"


UNIT = {"ActiveState": "active", "SubState": "running", "Result": "success", "ExecMainCode": "0", "ExecMainStatus": "0"}


@pytest.mark.parametrize(
    ("changes", "how"),
    [
        ({}, "running"),
        ({"ActiveState": "failed", "ExecMainCode": "1", "ExecMainStatus": "3", "Result": "exit-code"}, "exited (3)"),
        ({"ActiveState": "failed", "ExecMainCode": "2", "ExecMainStatus": "9", "Result": "signal"}, "killed (SIGKILL)"),
        ({"ActiveState": "failed", "ExecMainCode": "2", "Result": "timeout"}, "ended (its time was over)"),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, "restarting"),
        ({"ActiveState": "inactive", "SubState": "dead"}, "exited (0)"),
    ],
)
def test_units(changes: dict[str, str], how: str) -> None:
    """A unit's state in a word."""
    assert stacks.unit({**UNIT, **changes}) == how


@pytest.mark.parametrize(
    ("changes", "services", "expired"),
    [
        ({"temporary": True, "lifetime_s": 60}, "exited", True),
        ({"temporary": True, "lifetime_s": 60}, "running", False),
        ({"temporary": True, "lifetime_s": 10**9}, "exited", False),
        ({"temporary": False}, "exited", False),
        ({"temporary": True, "lifetime_s": 60, "started": "?"}, "exited", False),
    ],
)
def test_expired(changes: dict[str, Any], services: str, expired: bool) -> None:
    """A temporary stack is expired when its time is over and nothing of it runs."""
    assert stacks.expired({**RECORD, **changes}, {"app": services}, now_s=1.8e9) is expired


def test_a_damaged_record(tmp_path: Path) -> None:
    """Of a damaged record, and of a stack that died before it had one, the name and the runtime are still told."""
    (stack(tmp_path) / "stack.json").write_text("{")
    (tmp_path / "half-way").mkdir()
    found = stacks.stacks(ask=Answers(docker_ps=""), directory=tmp_path)
    assert [(one["name"], one["runtime"], "problem" in one) for one in found] == [
        ("half-way", "systemd", True),
        ("nginx-gunicorn-sync", "compose", True),
    ]
    assert stacks.stacks(names=["other"], directory=tmp_path) == []


def test_lines_of_containers(tmp_path: Path) -> None:
    """Lines come by time, with their service; what the pod and the instrument say is left out."""
    stack(tmp_path)
    logs = (
        "\x1b[2Kfront-1  | 2026-01-31T12:00:02.000000001Z late\n"
        "app-1    | 2026-01-31T12:00:01.000000001Z [7] [INFO] a | b\n"
        "pod-1    | 2026-01-31T12:00:01.000000001Z ?\n"
        "app-1    | 2026-01-31T12:00:01.500000001Z \n"
    )
    ask = Answers(docker_ps="", logs=logs)
    (found,) = stacks.stacks(lines=9, since="2026-01-31T12:00:00Z", ask=ask, directory=tmp_path)
    assert [(line["service"], line["text"]) for line in found["lines"]] == [
        ("app", "[7] [INFO] a | b"),
        ("app", ""),
        ("front", "late"),
    ]
    assert ask.asked[-1].endswith("logs --no-color --timestamps --tail 9 --since 2026-01-31T12:00:00Z")


def test_lines_of_units(tmp_path: Path) -> None:
    """The units' own lines, and of systemd's only how one ended; not what an earlier stack of that name said."""
    stack(tmp_path, runtime="systemd")
    unit = "topolab-nginx-gunicorn-sync-app.service"
    entries: list[dict[str, Any]] = [
        {"_SYSTEMD_UNIT": unit, "MESSAGE": "hello"},
        {"_SYSTEMD_UNIT": unit, "MESSAGE": [0x68, 0xFF]},
        {"_SYSTEMD_UNIT": "init.scope", "UNIT": unit, "MESSAGE": "Started it"},
        {"_SYSTEMD_UNIT": "init.scope", "UNIT": unit, "MESSAGE": f"{unit}: Main process exited, code=killed"},
    ]
    said = "".join(json.dumps({"__REALTIME_TIMESTAMP": "1769860801000002", **entry}) + "\n" for entry in entries)
    ask = Answers(systemctl_show="", journalctl=said)
    (found,) = stacks.stacks(lines=5, ask=ask, directory=tmp_path)
    assert [line["text"] for line in found["lines"]] == [
        "hello",
        "h\ufffd",
        f"{unit}: Main process exited, code=killed",
    ]
    assert {(line["at"], line["service"]) for line in found["lines"]} == {("2026-01-31T12:00:01.000002Z", "app")}
    assert ask.asked[-1].endswith("--since=2026-01-31 12:00:00 UTC")


def test_files_are_written_once(tmp_path: Path) -> None:
    """Content, mode and links are brought to what is asked, and a second time nothing changes."""
    path, link = tmp_path / "a/b/file", tmp_path / "a/link"
    files = [{"path": str(path), "content": "1\n", "mode": "0755"}, {"path": str(link), "link": "b/file"}]
    first = write_files.write(files, check=False)
    assert first["paths"] == [str(path), str(link)]
    assert (path.read_text(), path.stat().st_mode & 0o777, link.read_text()) == ("1\n", 0o755, "1\n")
    assert not write_files.write(files, check=False)["changed"]
    path.chmod(0o600)
    assert write_files.write(files, check=False)["paths"] == [str(path)]


def test_files_go_back(tmp_path: Path) -> None:
    """What was there before can be written again: other content, or no file."""
    old, new, link = tmp_path / "old", tmp_path / "new", tmp_path / "link"
    old.write_text("old\n")
    link.symlink_to("old")
    files = [{"path": str(old), "content": "1\n"}, {"path": str(new), "content": "1\n"}, {"path": str(link)}]
    former = write_files.write(files, check=False)["former"]
    assert not link.is_symlink()
    write_files.write(former, check=False)
    assert (old.read_text(), new.exists(), str(link.readlink())) == ("old\n", False, "old")


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    """With --check the difference is told and nothing is touched."""
    path = tmp_path / "a/file"
    told = write_files.write([{"path": str(path), "content": "1\n"}], check=True)
    assert (told["changed"], told["diff"][0]["after"], path.parent.exists()) == (True, "1\n", False)


APPLIED = {
    "processes_read": 2, "nofile_min": 1024, "nofile_max": 1024, "nproc_min": None, "nproc_max": None,
    "cgroups_read": 2, "pids_max": None, "somaxconn": 4096, "tcp_max_syn_backlog": 2048, "tcp_abort_on_overflow": 0,
    "ip_local_port_range": "32768 60999",
}  # fmt: skip
QUEUE = {"service": "app", "address": "127.0.0.1:8000", "recv_q": 0, "send_q": 2048, "unaccepted": 0}
CHANGED = (
    "Somebody or something has changed it since it was started: restart the stack, or run up.yml again, which does."
)


def differences(
    *,
    limits: dict[str, Any] | None = None,
    listeners: Sequence[dict[str, Any]] = (QUEUE,),
    seen: int = 2,
    **applied: Any,
) -> list[str]:
    """What the role readback says of a server, of which a plan said nofile 1024, somaxconn 4096 and backlog 2048."""
    folder = paths.HOME / "ansible/roles/readback/templates"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    text = environment.get_template("differences.j2").render(
        _readback_result={"applied": {**APPLIED, **applied}, "listeners": listeners, "processes_seen": seen},
        readback_processes=2,
        readback_limits={"nofile": 1024, "somaxconn": 4096, "ip_local_port_range": "32768 60999", **(limits or {})},
        readback_queues=[{"service": "app", "backlog": 2048, "listeners": 1}],
        readback_reachable={"nofile": 512},
    )
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_no_difference() -> None:
    """A server that is as planned differs in nothing, and what the plan does not name is not looked at."""
    assert differences() == []
    assert differences(tcp_abort_on_overflow=1) == []
    assert differences(limits={"nproc": "", "pids": None}) == []


@pytest.mark.parametrize(
    ("seen", "difference"),
    [
        ({"nofile_min": 700}, f"nofile: 1024 was asked, 700 was got. {CHANGED}"),
        ({"nofile_min": 512, "nofile_max": 512}, "nofile: 1024 was asked, 512 was got. The host's hard limit cuts it."),
        ({"nofile_min": None, "nofile_max": None}, f"nofile: 1024 was asked, unlimited was got. {CHANGED}"),
        ({"limits": {"pids": 64}}, f"pids: 64 was asked, unlimited was got. {CHANGED}"),
        (
            {"ip_local_port_range": "1024 65535"},
            f"ip_local_port_range: 32768 60999 was asked, 1024 65535 was got. {CHANGED}",
        ),
        ({"seen": 1}, "processes: 2 were planned and 1 answer. A worker may fail to start: look at the stack's logs."),
        (
            {"listeners": []},
            "app: it should listen with a queue of 2048, and nothing listens there. Look at the stack's logs.",
        ),
        (
            {"listeners": [{**QUEUE, "send_q": 128}]},
            "queue of app (127.0.0.1:8000): 2048 was asked, 128 was got. It began to listen under another "
            "net.core.somaxconn: restart the stack, or run up.yml again, which does.",
        ),
    ],
)
def test_a_difference(seen: dict[str, Any], difference: str) -> None:
    """Each difference is one line: what was asked, what was got, why that may be and what to do."""
    assert differences(**seen) == [difference]


def test_a_queue_that_somaxconn_cuts() -> None:
    """A smaller somaxconn is named for itself and for the queue that it cuts."""
    limit, queue = differences(somaxconn=128, listeners=[{**QUEUE, "send_q": 128}])
    assert limit.startswith("somaxconn: 4096 was asked, 128 was got.")
    assert queue.endswith("2048 was asked, 128 was got. net.core.somaxconn, which is 128, cuts it.")
