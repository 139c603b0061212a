"""The test hosts themselves: what tests of Ansible rely on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.hosts import KINDS, Host, Kind, inventory, running, start, sweep
from tests.hosts.images import docker

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    """One of each kind."""
    with running({kind: kind for kind in KINDS}, tmp_path_factory.mktemp("hosts")) as up:
        yield up


@pytest.mark.parametrize("kind", KINDS)
def test_a_host_is_a_bare_server_with_a_user_who_may_sudo(hosts: dict[str, Host], kind: Kind) -> None:
    """Over ssh operator becomes root without a password, nosudo can't, root itself is refused; no engine is there."""
    host = hosts[kind]
    assert host.ssh("sudo -n id -u").stdout == "0\n"
    assert host.ssh("sudo -n id -u", user="nosudo").returncode
    assert host.ssh("true", user="root").returncode == 255
    assert host.ssh("command -v docker dockerd pip || ls /usr/sbin/dockerd").stdout == ""
    release = host.run(". /etc/os-release; echo $VERSION_CODENAME")
    assert release == KINDS[kind].codename
    assert host.ssh("test -d /run/systemd/system").returncode == (0 if KINDS[kind].systemd else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reboot_is_one(hosts: dict[str, Host], kind: Kind) -> None:
    """A written sysctl is lost, a configured one is back; port and host key stay; the machine keeps its own values."""
    host = hosts[kind]
    before = Path("/proc/sys/net/core/somaxconn").read_text()
    host.run("sysctl -w net.core.somaxconn=777; echo net.ipv4.tcp_fin_timeout=17 > /etc/sysctl.d/90-test.conf")
    assert host.run("cat /proc/sys/net/core/somaxconn") == "777"
    host.restart()
    assert host.run("cat /proc/sys/net/core/somaxconn") != "777"
    assert host.run("cat /proc/sys/net/ipv4/tcp_fin_timeout") == "17"
    assert Path("/proc/sys/net/core/somaxconn").read_text() == before
    with pytest.raises(RuntimeError):
        host.run("echo 99999 > /proc/sys/fs/file-max")


def test_a_lost_host_refuses_and_comes_back(hosts: dict[str, Host]) -> None:
    """After a power cut connections are refused until it boots again."""
    hosts["plain"].kill()
    assert "refused" in hosts["plain"].ssh("true").stderr
    hosts["plain"].boot()
    assert hosts["plain"].ssh("true").returncode == 0


def test_an_inventory_names_groups_and_how_to_reach_each(hosts: dict[str, Host], tmp_path: Path) -> None:
    """Every host is in the group `servers` unless groups are given."""
    everyone = list(hosts.values())
    written = yaml.safe_load(inventory(tmp_path / "inventory.yml", everyone).read_text())["all"]
    assert set(written["children"]["servers"]["hosts"]) == set(KINDS)
    assert written["hosts"]["plain"]["ansible_port"] == hosts["plain"].port
    grouped = inventory(tmp_path / "inventory.yml", everyone, {"load": everyone[:1]})
    assert list(yaml.safe_load(grouped.read_text())["all"]["children"]) == ["load"]


def test_a_sweep_takes_what_a_dead_run_left_and_nothing_else(hosts: dict[str, Host], tmp_path: Path) -> None:
    """A host whose process is gone is removed, those of running tests and those started by hand are not."""
    name = f"topolab-test-{os.getpid()}-left"
    code = (
        "import pathlib, sys, tests.hosts; tests.hosts.start(sys.argv[1], 'plain', directory=pathlib.Path(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", code, name, tmp_path], check=True, cwd=Path(__file__).parents[2])
    kept = start(f"{name}-by-hand", "plain", directory=tmp_path, kept=True)
    try:
        assert sweep() == [name]
        assert {host.container for host in (kept, *hosts.values())} <= set(
            docker("ps", "--format", "{{.Names}}").split()
        )
    finally:
        kept.remove()
