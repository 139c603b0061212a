"""What is changed on a host is noted before, and can be taken back: the modules' own functions in a temporary tree."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.modules import load

kernel_values = load("kernel_values")
raised_limits = load("raised_limits")
untuned = load("untuned")
originals = sys.modules["ansible.module_utils.topolab_originals"]

QUEUE, PORTS = "net.test.queue", "net.test.ports"


@dataclass
class Tree:
    """Stands for a host's /proc/sys, /etc and /var."""

    root: Path

    @property
    def drop_in(self) -> Path:
        return self.root / "etc/sysctl.d/60-topolab.conf"

    @property
    def record(self) -> Path:
        return self.root / "var/lib/topolab/originals.json"

    def sysctl(self, name: str, value: object = None) -> str:
        path = self.root / "sys" / name.replace(".", "/")
        if value is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{value}\n")
        return path.read_text().strip()

    def open(self, *, check: bool = False) -> Any:
        return originals.Originals(self.record, check=check, sysctls=self.root / "sys")

    def tune(self, *, check: bool = False, exclusive: bool = True, **values: object) -> Any:
        """Sets net.test.*; returns the record, which knows what was changed."""
        record = self.open(check=check)
        asked = [
            {"name": f"net.test.{name}", "value": value, "why": "w", "source": "s"} for name, value in values.items()
        ]
        kernel_values.apply(record, asked, self.drop_in, exclusive)
        return record

    def untune(self, *, check: bool = False) -> Any:
        record = self.open(check=check)
        untuned.give_back(record, [])
        return record

    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(self.root.rglob("*")) if path.is_file()}

    def folders(self) -> set[Path]:
        return {path for path in self.root.rglob("*") if path.is_dir()}


@pytest.fixture
def host(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    tree.sysctl(QUEUE, 4096)
    tree.sysctl(PORTS, "32768\t60999")
    (tmp_path / "etc").mkdir()
    return tree


def test_a_second_run_changes_nothing(host: Tree) -> None:
    """Values of one number and of two are set once, and written with their why and source."""
    assert host.tune(queue=16384, ports="1024 65535").changed
    assert (host.sysctl(QUEUE), host.sysctl(PORTS)) == ("16384", "1024 65535")
    assert "\n# w\n# Source: s\nnet.test.queue = 16384\n" in host.drop_in.read_text()
    before = host.files()
    assert host.tune(queue=16384, ports="1024 65535").changed == []
    assert host.files() == before


def test_a_dry_run_tells_what_a_run_does_and_touches_nothing(host: Tree) -> None:
    """The same words, and the same differences."""
    before = host.files()
    told = host.tune(check=True, queue=16384)
    assert host.files() == before
    done = host.tune(queue=16384)
    assert (told.changed, told.diff) == (done.changed, done.diff)


def test_untune_leaves_everything_as_it_was(host: Tree) -> None:
    """Values, files and folders; and then there is nothing to take back."""
    files, folders = host.files(), host.folders()
    host.tune(queue=16384, ports="1024 65535")
    assert host.untune(check=True).changed
    assert host.untune().changed
    assert host.sysctl(PORTS) == "32768 60999"
    host.sysctl(PORTS, "32768\t60999")  # as the kernel writes it
    host.sysctl(QUEUE, 4096)
    assert (host.files(), host.folders()) == (files, folders)
    assert host.untune().changed == []


def test_the_first_original_is_kept(host: Tree) -> None:
    """However often a value is changed, what comes back is what was there before the lab."""
    for value in (8192, 16384, 64):
        host.tune(queue=value)
    host.untune()
    assert host.sysctl(QUEUE) == "4096"


def test_a_value_that_is_no_longer_asked_for_goes_back(host: Tree) -> None:
    """The drop-in holds the current ones only; without `exclusive` the others stay."""
    host.tune(queue=16384, ports="1024 65535")
    host.tune(queue=8192, exclusive=False)
    assert host.sysctl(PORTS) == "1024 65535"
    host.tune(queue=8192)
    assert (host.sysctl(QUEUE), host.sysctl(PORTS)) == ("8192", "32768 60999")
    assert PORTS not in host.drop_in.read_text()
    host.tune()
    assert (host.sysctl(QUEUE), host.drop_in.exists(), host.record.exists()) == ("4096", False, False)


def test_drift_is_found_and_put_right(host: Tree) -> None:
    """A live value that somebody set, and an edited drop-in."""
    host.tune(queue=16384)
    host.sysctl(QUEUE, 128)
    assert host.tune(queue=16384).changed == ["net.test.queue: 128 -> 16384"]
    host.drop_in.write_text("net.test.queue = 5\n")
    assert host.tune(queue=16384).changed == [str(host.drop_in)]


def test_what_somebody_else_set_since_stays(host: Tree) -> None:
    """A value that is neither the lab's nor the original is not the lab's to change; it is named."""
    host.tune(queue=16384)
    host.sysctl(QUEUE, 777)
    record = host.untune()
    assert host.sysctl(QUEUE) == "777"
    assert record.notes == [f"{QUEUE} is 777, which is neither the lab's nor the 4096 before it: left as it is"]
    assert not host.record.exists()


def test_originals_survive_a_crash_in_the_middle(host: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are on disk before the first change, so that the next run, or untune, completes the work."""
    with monkeypatch.context() as patch:
        patch.setattr(originals.Originals, "set_sysctl", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            host.tune(queue=16384)
    assert json.loads(host.record.read_text())["sysctls"][QUEUE]["original"] == "4096"
    host.tune(queue=16384)
    host.untune()
    assert (host.sysctl(QUEUE), host.drop_in.exists()) == ("4096", False)


def test_a_value_that_the_kernel_lacks_is_refused_before_any_change(host: Tree) -> None:
    """By name, together with a missing reason."""
    before = host.files()
    with pytest.raises(originals.Refused, match=r"this kernel has no net\.test\.none"):
        host.tune(queue=16384, none=1)
    with pytest.raises(originals.Refused, match=r"net\.test\.queue has no why"):
        kernel_values.apply(host.open(), [{"name": QUEUE, "value": 1, "source": "s"}], host.drop_in, True)
    assert host.files() == before


def test_who_overrules_a_value_at_boot_is_named(tmp_path: Path) -> None:
    """A later file counts, an earlier or hidden one does not, nor one that says the same."""
    etc, lib = tmp_path / "etc", tmp_path / "lib"
    for folder in (etc, lib):
        (folder / "sysctl.d").mkdir(parents=True)
    own = etc / "sysctl.d/60-topolab.conf"

    def told() -> list[str]:
        found: list[str] = originals.overruled({QUEUE: "16384"}, own, (etc, lib))
        return found

    (etc / "sysctl.d/10-early.conf").write_text(f"{QUEUE} = 1\n")
    (lib / "sysctl.d/90-hidden.conf").write_text(f"{QUEUE} = 2\n")
    (etc / "sysctl.d/90-hidden.conf").write_text(f"# {QUEUE} = 2\n-{QUEUE.replace('.', '/')} = 16384\n")
    assert told() == []
    (etc / "sysctl.conf").write_text(f"\n{QUEUE}=128\n")
    assert told() == [f"{etc / 'sysctl.conf'} line 2 sets {QUEUE} to 128"]


def test_a_damaged_record_is_never_guessed(host: Tree) -> None:
    """It says what to do, and nothing is changed."""
    host.record.parent.mkdir(parents=True)
    host.record.write_text("{")
    with pytest.raises(originals.Refused, match="is damaged"):
        host.tune(queue=1)
    assert host.sysctl(QUEUE) == "4096"


DAEMON = b'{\n\t"log-opts": {"max-size":"10m"},\n\t"default-ulimits": {"core": {"Soft":0,"Hard":0}}}'
KEYS = {"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 20000, "Hard": 20000}}}


@pytest.mark.parametrize("before", [DAEMON, b"", None])
def test_a_shared_file_comes_back_to_the_byte(host: Tree, before: bytes | None) -> None:
    """daemon.json keeps all that others wrote, and is afterwards what it was, mode included; or there is none again."""
    path = host.root / "etc/docker/daemon.json"
    if before is not None:
        path.parent.mkdir()
        path.write_bytes(before)
        path.chmod(0o640)
    folders = host.folders()
    record = host.open()
    assert record.merge(path, KEYS)
    merged = json.loads(path.read_bytes())
    assert merged["default-ulimits"]["nofile"]["Soft"] == 20000
    if before:
        assert (merged["log-opts"], merged["default-ulimits"]["core"]["Hard"]) == ({"max-size": "10m"}, 0)
    assert not host.open().merge(path, KEYS)
    host.untune()
    assert host.folders() == folders
    assert (path.read_bytes() if path.exists() else None) == before
    assert before is None or path.stat().st_mode & 0o777 == 0o640


def test_an_edited_shared_file_only_loses_the_labs_keys(host: Tree) -> None:
    """Whoever wrote to it since keeps what they wrote."""
    path = host.root / "etc/daemon.json"
    path.write_bytes(DAEMON)
    host.open().merge(path, KEYS)
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "live-restore": True}))
    record = host.untune()
    assert json.loads(path.read_bytes()) == {**json.loads(DAEMON), "live-restore": True}
    assert record.notes == [f"{path} was edited since: only the lab's own keys were taken out"]


def test_a_damaged_shared_file_is_refused(host: Tree) -> None:
    """It is left as it is."""
    path = host.root / "etc/daemon.json"
    path.write_text("{")
    with pytest.raises(originals.Refused, match="is not valid JSON"):
        host.open().merge(path, KEYS)
    assert path.read_text() == "{"


BASE: dict[str, dict[str, list[int | None]]] = {
    "a login of nobody": {"nofile": [1024, 20000], "nproc": [100, 100]},
    "a login of root": {"nofile": [1024, 524288], "nproc": [None, None]},
    "services": {"nofile": [1024, 524288]},
    "containers": {"nofile": [1048576, 1048576], "nproc": [None, None]},
}


def written(lines: bytes | None) -> list[str]:
    return [line for line in (lines or b"").decode().splitlines() if not line.startswith("#")]


def test_only_what_raises_a_limit_is_written() -> None:
    """Each place gets what it lacks; a hard limit that is higher already stays, and so does unlimited."""
    wanted = {"nofile": 30000, "nproc": 200}
    assert written(raised_limits.of_logins(wanted, BASE)) == [
        "*     soft nofile 30000",
        "*     hard nofile 30000",
        "*     soft nproc  200",
        "*     hard nproc  200",
        "root  soft nofile 30000",
    ]
    assert written(raised_limits.of_services(wanted, BASE)) == ["[Manager]", "DefaultLimitNOFILE=30000:524288"]
    assert raised_limits.of_containers(wanted, BASE) == {}
    assert raised_limits.of_containers({"nofile": 2_000_000}, BASE) == {
        "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 2_000_000, "Hard": 2_000_000}}
    }


def test_a_low_limit_is_for_nobody() -> None:
    """What would lower a limit of everybody's is written nowhere."""
    wanted = {"nofile": 256, "nproc": 5}
    parts = (raised_limits.of_logins, raised_limits.of_services, raised_limits.of_containers)
    assert not any(part(wanted, BASE) for part in parts)
    assert raised_limits.short(wanted, BASE) == []


def test_who_gets_too_little_is_named() -> None:
    """With both limits, unlimited in words."""
    found = {"services": {"nofile": [1024, None]}}
    assert raised_limits.short({"nofile": 2000}, found) == ["services gets nofile 1024 (soft), unlimited (hard)"]
