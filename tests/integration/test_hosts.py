"""Hosts: containers with sshd that start as bare Debian machines, brought up, tuned, broken, rebooted and put back.

The tests run in this order: what one of them brings up, those after it use.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.hosts import Host, inventory, running
from tests.integration.lab import Lab, Result, places, until

pytestmark = pytest.mark.engine

REPOSITORY = Path(__file__).resolve().parents[2]
PORT = 8100
NOFILE, SOMAXCONN = 4096, 3000  # unlike what the hosts have: both can be had here, and both show
LIMITS = ("--set", f"nofile={NOFILE}", "--set", f"somaxconn={SOMAXCONN}", "--set", "tcp_max_syn_backlog=2222")
PLAN = ("gunicorn-sync", *LIMITS)
SYSCTLS = ("net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog", "net.ipv4.ip_local_port_range")
# All that may change on a host, but for packages and what the engine keeps: whole files, and live values.
STATE = (
    "cd / && for f in $(find etc/sysctl.d etc/security etc/systemd etc/docker etc/topolab opt/topolab var/lib/topolab "
    "-type f 2>/dev/null | grep -v '[.]wants/' | sort); do sha256sum $f; done; sysctl " + " ".join(SYSCTLS)
)


@dataclass
class Farm:
    """Hosts by name, their inventory, and a lab that knows them."""

    hosts: Mapping[str, Host]
    inventory: Path
    lab: Lab

    def run(self, *words: str, only: str | None = None) -> Result:
        chosen = ["--only", only] if only else []
        return self.lab.run(words[0], "--hosts", str(self.inventory), *chosen, *words[1:])

    def play(self, playbook: str, variables: Mapping[str, Any], *words: str) -> str:
        """A playbook as an operator runs it, without the lab; what it says."""
        file = self.lab.home / f"{playbook}.json"
        file.write_text(json.dumps(variables))
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "-i", self.inventory, f"ansible/{playbook}.yml",
             "-e", f"@{file}", *words],
            cwd=REPOSITORY, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
        return done.stdout

    def plan(self, *words: str) -> dict[str, Any]:
        document: dict[str, Any] = self.lab.run("plan", "--port", str(PORT), *words).json
        return document

    def states(self) -> dict[str, str]:
        return {name: host.run(STATE) for name, host in self.hosts.items()}

    def answers(self, name: str, port: int = PORT) -> bool:
        script = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/healthz', timeout=2).status)"
        try:
            return self.hosts[name].run(["python3", "-c", script]).strip() == "200"
        except RuntimeError:
            return False


@pytest.fixture(scope="module", autouse=True)
def _the_machine_stays_as_it_is() -> Iterator[None]:
    """Nothing that is done to hosts may reach the machine that they run on."""

    ours = re.compile(
        r"(fs\.(file-max|nr_open)|kernel\.(threads-max|pid_max)|vm\.|net\.(core|unix)\.|net\.ipv4\.(tcp|ip)_)"
    )

    def own() -> set[str]:
        said = subprocess.run(["sysctl", "--all"], capture_output=True, text=True, check=False).stdout
        return {line for line in said.splitlines() if ours.match(line)}

    before = own()
    yield
    assert own() == before


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Three bare hosts: Debian 12 and 13 with systemd, and Debian 12 without."""
    home = tmp_path_factory.mktemp("hosts")
    with running({"web1": "bookworm", "web2": "trixie", "web3": "plain"}, home) as hosts:
        yield Farm(hosts, inventory(home / "inventory.yml", list(hosts.values())), Lab(home))


@pytest.fixture(scope="module")
def bare(farm: Farm) -> dict[str, str]:
    """The hosts' state before anything was done to them."""
    return farm.states()


@pytest.fixture(scope="module")
def checked(farm: Farm, bare: dict[str, str]) -> str:
    """What a dry run on the bare hosts says."""
    assert bare
    return farm.play("up", farm.plan(*PLAN), "--check", "--diff")


@pytest.fixture(scope="module")
def upped(farm: Farm, checked: str) -> Result:
    """The first run on the bare hosts."""
    assert checked
    return farm.run("up", *PLAN, "--port", str(PORT))


def recap(said: str) -> dict[str, dict[str, int]]:
    """`web1 : ok=7 changed=0 ...` as numbers, by host."""
    found = re.findall(r"^(\w+) +: (ok=.*)$", said, re.MULTILINE)
    return {host: {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", counts)} for host, counts in found}


def test_a_dry_run_on_bare_hosts_tells_and_touches_nothing(farm: Farm, bare: dict[str, str], checked: str) -> None:
    """Check mode passes on machines that have nothing yet, says what would be done, and leaves them as they were."""
    assert all(counts["failed"] == counts["unreachable"] == 0 for counts in recap(checked).values())
    assert re.search(r"install .*docker", checked)
    assert farm.states() == bare
    assert all("no docker" in host.run("command -v dockerd || echo no docker") for host in farm.hosts.values())


def test_one_command_brings_a_topology_up_on_bare_hosts(farm: Farm, upped: Result) -> None:
    """From bare machines to a healthy stack on each, engine included."""
    assert upped.code == 0, upped.err
    for name in farm.hosts:
        assert f"{name}: gunicorn-sync is up at 127.0.0.1:{PORT} there (compose)" in upped.out
        assert farm.answers(name)


def test_a_second_run_changes_nothing(farm: Farm, upped: Result) -> None:
    """The same command again finds everything as it is."""
    assert upped.code == 0
    again = farm.run("up", *PLAN, "--port", str(PORT))
    assert again.code == 0, again.err
    for name in farm.hosts:
        assert f"{name}: gunicorn-sync was up already, with nothing to change" in again.out


def server_pids(host: Host) -> list[str]:
    return host.run(["pgrep", "--full", "gunicorn.conf.py"]).split()


def test_the_running_server_has_the_limits(farm: Farm, upped: Result) -> None:
    """What was asked for is what the kernel applied: to the process, and to its network namespace."""
    assert upped.code == 0
    for host in farm.hosts.values():
        for pid in server_pids(host):
            assert re.search(rf"Max open files +{NOFILE} +{NOFILE}", host.run(f"cat /proc/{pid}/limits"))
        pid = server_pids(host)[0]
        assert host.run(f"nsenter -t {pid} -n sysctl -n net.core.somaxconn").strip() == str(SOMAXCONN)
        listening = host.run(f"nsenter -t {pid} -n ss -ltnH 'sport = 8000'").split()
        assert listening[2] == "2048"  # gunicorn's own backlog, which somaxconn does not cut


@pytest.mark.parametrize(
    ("what", "drift"),
    [
        ("a kernel value", lambda pid: f"nsenter -t {pid} -n sysctl -q -w net.core.somaxconn=99"),
        (
            "a limit",
            lambda pid: f"setpriv --reuid 10001 --regid 10001 --clear-groups prlimit --pid {pid} --nofile=512:512",
        ),
        (
            "a killed container",
            lambda _pid: "docker kill $(docker ps -q --filter label=com.docker.compose.service=app)",
        ),
    ],
)
def test_drift_is_found_and_repaired(farm: Farm, upped: Result, what: str, drift: Callable[[str], str]) -> None:
    """What somebody has changed meanwhile is put right by the same command."""
    assert upped.code == 0
    host = farm.hosts["web1"]
    host.run(drift(server_pids(host)[-1]))
    again = farm.run("up", *PLAN, "--port", str(PORT), only="web1")
    assert again.code == 0, f"{what}: {again.err}"
    assert "web1: gunicorn-sync is up" in again.out, what
    pid = until(lambda: server_pids(host), "the server runs again")[0]
    assert re.search(rf"Max open files +{NOFILE} ", host.run(f"cat /proc/{pid}/limits"))
    assert host.run(f"nsenter -t {pid} -n sysctl -n net.core.somaxconn").strip() == str(SOMAXCONN)


def test_status_and_logs_work_as_they_do_here(farm: Farm, upped: Result) -> None:
    """`status` names every stack by host, `logs` prints what its server said."""
    assert upped.code == 0
    status = farm.run("status", "--json").json
    assert list(status) == list(farm.hosts)
    assert all([stack["services"] for stack in stacks] == [{"app": "running"}] for stacks in status.values())
    logs = farm.run("logs", "gunicorn-sync")
    assert logs.code == 0
    assert all(re.search(rf"^{name} app .*Booting worker", logs.out, re.MULTILINE) for name in farm.hosts)


def test_the_ledger_measured_on_hosts_is_the_local_one(farm: Farm, upped: Result) -> None:
    """Capacity on each host, at the same time, gives the counts that containers give on this machine; all VALID."""
    assert upped.code == 0
    words = ("capacity", "gunicorn-sync", "--requests", "100", "--set", "backlog=50", "--json")
    there, here = farm.run(*words), farm.lab.run(*words, "--runtime", "compose")
    assert there.code == 0, there.err
    runs = there.json
    assert [run["host"]["name"] for run in runs] == list(farm.hosts)
    assert all(run["verdict"] == "VALID" for run in runs)
    assert [places(run) for run in runs] == [places(here.json)] * 3
    assert len(farm.lab.stored()) == 4  # one file each, and this machine's
    assert all(len(stacks) == 1 for stacks in farm.run("status", "--json").json.values())  # those of before


def test_after_a_reboot_limits_and_stack_are_back(farm: Farm, upped: Result) -> None:
    """A host that restarts brings its stack back with its limits, with systemd and without."""
    assert upped.code == 0
    for host in farm.hosts.values():
        host.restart()
    for name, host in farm.hosts.items():
        until(partial(farm.answers, name), f"{name}: the stack is back")
        pid = server_pids(host)[0]
        assert re.search(rf"Max open files +{NOFILE} ", host.run(f"cat /proc/{pid}/limits"))
        assert host.run(f"nsenter -t {pid} -n sysctl -n net.core.somaxconn").strip() == str(SOMAXCONN)


def test_an_unreachable_limit_fails_before_anything_is_touched(farm: Farm, upped: Result) -> None:
    """A limit that the host can't grant is refused by name, with the most that can be had; nothing changes."""
    assert upped.code == 0
    before = farm.states()
    refused = farm.run("up", "gunicorn-sync", "--set", "nofile=1000000", "--port", "8200")
    assert refused.code == 2
    for name in farm.hosts:
        assert re.search(rf"topolab: {name}: .*nofile=1000000.*--set nofile=\d+", refused.err)
    assert farm.states() == before


def test_a_host_that_is_lost_in_the_middle_leaves_the_others_right(farm: Farm, upped: Result) -> None:
    """The one that goes away is named, the others come up, and the next run completes the work."""
    assert upped.code == 0
    words = ("up", "flask-threaded", "--port", "8300")
    process = farm.lab.start(words[0], "--hosts", str(farm.inventory), *words[1:])
    assert process.stderr
    said = ""
    while "web2: release" not in said:  # its preflight has passed
        line = process.stderr.readline()
        assert line, said
        said += line
    farm.hosts["web2"].kill()
    out, rest = process.communicate(timeout=180)
    farm.hosts["web2"].boot()
    assert process.returncode == 2
    assert re.search(r"topolab: web2: .*(reached|lost|closed|connect)", rest), rest
    assert "web1: flask-threaded is up" in out
    assert farm.answers("web1", 8300)
    until(lambda: farm.answers("web2"), "the host is back")
    again = farm.run(*words)
    assert again.code == 0, again.err
    assert "web1: flask-threaded was up already" in again.out
    assert farm.run("down", "flask-threaded").code == 0
    assert not any(farm.answers(name, 8300) for name in farm.hosts)


SYSTEMD = ("web1", "web2")


def test_the_same_plan_runs_as_systemd_units(farm: Farm, upped: Result) -> None:
    """Without an engine: hardened units with the plan's limits, healthy, the same ledger, back after a reboot."""
    assert upped.code == 0
    only, port = ",".join(SYSTEMD), 8400
    up = ("up", "nginx-gunicorn-sync", "--runtime", "systemd", "--set", f"nofile={NOFILE}", "--port", str(port))
    first = farm.run(*up, only=only)
    assert first.code == 0, first.err
    again = farm.run(*up, only=only)
    assert all(f"{name}: nginx-gunicorn-sync was up already" in again.out for name in SYSTEMD), again.err
    for name in SYSTEMD:
        host = farm.hosts[name]
        unit = host.run("systemctl show topolab-nginx-gunicorn-sync-app -p MainPID -p User -p NoNewPrivileges")
        pid = re.search(r"MainPID=(\d+)", unit)
        assert pid
        assert "NoNewPrivileges=yes" in unit
        assert re.search(rf"Max open files +{NOFILE} ", host.run(f"cat /proc/{pid[1]}/limits"))
        assert host.run(f"stat -c %u /proc/{pid[1]}").strip() == "10001"
    words = ("capacity", "nginx-gunicorn-sync", "--requests", "100", "--set", "app.backlog=50", "--json")
    there = farm.run(*words, "--runtime", "systemd", only=only)
    assert there.code == 0, there.err
    runs = there.json
    assert [run["verdict"] for run in runs] == ["VALID", "VALID"], runs[0]["findings"]
    assert places(runs[0]) == places(runs[1]) == places(farm.lab.run(*words, "--runtime", "process").json)
    farm.hosts["web2"].restart()
    until(lambda: farm.answers("web2", port), "the units are back")
    assert farm.run("down", "nginx-gunicorn-sync", only=only).code == 0
    assert not farm.hosts["web1"].run("systemctl list-unit-files 'topolab-nginx*' --no-legend | cat").strip()


def test_a_systemd_plan_is_refused_where_there_is_no_systemd(farm: Farm, upped: Result) -> None:
    """A host without systemd says so, and names the runtime that it has."""
    assert upped.code == 0
    refused = farm.run("up", "gunicorn-sync", "--runtime", "systemd", "--port", "8200", only="web3")
    assert refused.code == 2
    assert re.search(r"topolab: web3: .*systemd.*compose", refused.err)


@pytest.mark.parametrize(
    ("trouble", "spoil", "mend", "told"),
    [
        ("port taken", "nohup python3 -m http.server 8500 >/dev/null 2>&1 & sleep 1", "pkill -f [h]ttp.server",
         r"port 8500 is (in use|taken) by python3"),
        ("unknown OS", "sed -i.was 's/^ID=.*/ID=slackware/' /etc/os-release; mv /usr/bin/docker /usr/bin/docker.was",
         "mv /etc/os-release.was /etc/os-release; mv /usr/bin/docker.was /usr/bin/docker", r"Debian.*Ubuntu"),
        ("engine too old", "mv /usr/bin/docker /usr/bin/docker.was; printf '#!/bin/sh\\necho 18.09.1\\n' > "
         "/usr/bin/docker; chmod +x /usr/bin/docker", "mv /usr/bin/docker.was /usr/bin/docker", r"18\.09.*20\.10"),
        ("disk full", "mount -t tmpfs -o size=4m tmpfs /opt", "umount /opt",
         r"/opt has \d+ MB free, and 250 MB are needed: free some"),
    ],
)  # fmt: skip
def test_a_host_in_trouble_says_so_in_one_line(
    farm: Farm, upped: Result, trouble: str, spoil: str, mend: str, told: str
) -> None:
    """Each trouble is one clear line with the host's name and exit code 2, and nothing is half-done."""
    assert upped.code == 0
    host = farm.hosts["web1"]
    host.run(spoil)
    try:
        before = host.run(STATE)
        refused = farm.run("up", "waitress", "--port", "8500", only="web1")
        assert refused.code == 2, trouble
        lines = [line for line in refused.err.splitlines() if line.startswith("topolab: web1: ")]
        assert len(lines) == 1
        assert re.search(told, lines[0]), lines
        assert host.run(STATE) == before, trouble
    finally:
        host.run(mend)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"ansible_port": 1}, r"can't be reached: .*refused"),
        (
            {"ansible_ssh_private_key_file": "/nowhere/key", "ansible_ssh_extra_args": "-o ControlPath=none"},
            r"ssh does not let us in",
        ),
        ({"ansible_user": "nosudo"}, r"sudo"),
        ({"ansible_host": "no.such.host.invalid"}, r"can't be reached: .*resolve"),
    ],
)
def test_a_host_that_can_not_be_entered_is_named(
    farm: Farm, upped: Result, tmp_path: Path, entry: dict[str, Any], told: str
) -> None:
    """A host that is away, a missing key, a user who may not use sudo: one line each, and the other host is served."""
    assert upped.code == 0
    known = yaml.safe_load(farm.inventory.read_text())
    hosts = known["all"]["hosts"]
    spoilt = tmp_path / "inventory.yml"
    spoilt.write_text(yaml.safe_dump({"all": {"hosts": {"web1": {**hosts["web1"], **entry}, "web2": hosts["web2"]}}}))
    done = farm.lab.run("status", "--hosts", str(spoilt))
    assert done.code == 2
    lines = [line for line in done.err.splitlines() if line.startswith("topolab: web1: ")]
    assert len(lines) == 1
    assert re.search(told, lines[0]), lines
    assert "web2" in done.out


def test_an_inventory_that_does_not_parse_is_named(farm: Farm, tmp_path: Path) -> None:
    """A broken inventory, and a pattern that matches nobody, are each one clear error."""
    broken = tmp_path / "broken.yml"
    broken.write_text("all: {hosts: [web1\n")
    done = farm.lab.run("status", "--hosts", str(broken))
    assert done.code == 2
    assert re.match(r"topolab: .*broken\.yml", done.err.splitlines()[-2])
    nobody = farm.run("status", only="db*")
    assert nobody.code == 2
    assert 'there is no host that "db*" matches' in nobody.err


def test_an_interrupted_measurement_leaves_nothing_on_the_hosts(farm: Farm, upped: Result) -> None:
    """Ctrl-C while hosts measure: the stacks of the measurement are taken down before the command ends."""
    assert upped.code == 0
    words = ("gunicorn-sync", "--requests", "20", "--hold", "60", "--only", "web1")
    process = farm.lab.start("capacity", "--hosts", str(farm.inventory), *words)
    until(lambda: len(farm.run("status", "--json", only="web1").json["web1"]) == 2, "the stack to measure is up")
    process.send_signal(2)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "interrupted" in err
    assert "Traceback" not in err
    assert len(farm.run("status", "--json", only="web1").json["web1"]) == 1


def test_an_interrupted_up_says_what_it_leaves_and_can_be_completed(farm: Farm, upped: Result) -> None:
    """Ctrl-C while a stack is brought up: the message is true of hosts, and the same command completes the work."""
    assert upped.code == 0
    words = ("up", "waitress", "--port", "8600")
    process = farm.lab.start(words[0], "--hosts", str(farm.inventory), "--only", "web1", *words[1:])
    assert process.stderr
    said = ""
    while "web1: release" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    process.send_signal(2)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "interrupted; what it had begun on the hosts may stay. The same command completes it" in err
    assert farm.run(*words, only="web1").code == 0
    assert farm.answers("web1", 8600)
    assert farm.run("down", "waitress", only="web1").code == 0


def test_tuned_hosts_go_back_to_what_they_were(farm: Farm, bare: dict[str, str], upped: Result) -> None:
    """What `tune` gives is read back, and put right again; `down` and `untune` restore every value and file."""
    assert upped.code == 0
    tuned = farm.run("tune", *LIMITS)
    assert tuned.code == 0, tuned.err
    for name, host in farm.hosts.items():
        assert f"{name}: net.core.somaxconn: 4096 -> {SOMAXCONN}" in tuned.out
        assert host.run("sysctl -n net.core.somaxconn").strip() == str(SOMAXCONN)
    assert farm.run("tune", *LIMITS).out.count("nothing to change") == 3
    farm.hosts["web2"].run("sysctl -q -w net.core.somaxconn=77")
    assert f"web2: net.core.somaxconn: 77 -> {SOMAXCONN}" in farm.run("tune", *LIMITS).out
    farm.hosts["web1"].restart()
    assert farm.hosts["web1"].run("sysctl -n net.core.somaxconn").strip() == str(SOMAXCONN)
    assert farm.run("down").code == 0
    assert farm.run("untune").code == 0
    assert farm.run("untune").out.count("nothing to change") == 3
    after = farm.states()
    for name in farm.hosts:
        assert limits_of(after[name]) == limits_of(bare[name])


def limits_of(state: str) -> list[str]:
    """Of a host's state what limits it: not the packages that it has got, nor the virtualenvs that are kept."""
    ours = (
        "etc/sysctl.d/",
        "etc/security/",
        "etc/systemd/system.conf",
        "etc/docker/daemon",
        "etc/topolab",
        "var/lib/topolab",
    )
    return [
        line for line in state.splitlines() if any(part in line for part in (*ours, *SYSCTLS, "opt/topolab/releases"))
    ]
