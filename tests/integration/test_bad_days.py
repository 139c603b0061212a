"""Bad input and bad days: one clear line, exit code 2, nothing left running, nothing half-written."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.integration.lab import TOPOLAB, Lab, ended, has_ended, instrument_of, places, until
from topolab import paths
from topolab.runtimes import engine
from topolab.runtimes.ports import free_port
from topolab.topology import Catalog

PROCESS = ("--runtime", "process")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["capacity", "gunicorn-synk"],
         'topolab: There is no topology "gunicorn-synk". Did you mean "gunicorn-sync"? `topolab list` shows all.'),
        (["up", "gunicorn-sync", "--set", "wokers=2"],
         'topolab: --set wokers: gunicorn-sync has no setting or limit "wokers". Did you mean "workers"?'),
        (["show", "gunicorn-sync", "--set", "workers=many"],
         'topolab: --set workers is "many". Write a whole number, 1 to 512.'),
        (["down", "gunicorn-sync"], "topolab: gunicorn-sync is not up. `topolab status` shows what is."),
        (["logs", "gunicorn-sync"], "topolab: gunicorn-sync is not up. `topolab status` shows what is."),
        (["capcity"], 'topolab: There is no command "capcity". Did you mean "capacity"? `topolab --help` shows all.'),
        (["down", "gunicorn"], 'topolab: There is no topology "gunicorn". Did you mean "gunicorn-sync"? '
                               "`topolab list` shows all."),
        (["down", "--force", "gunicorn-synk"],
         'topolab: There is no topology "gunicorn-synk". Did you mean "gunicorn-sync"? '),
        (["down", "--force", "--hosts", str(paths.HOME / "ansible/inventory/local.yml")],
         "topolab: --force: it is for stacks on this machine, and does nothing on hosts. Leave it out."),
        (["up", "flask-single", *PROCESS, "--set", "nofile=1048576"], "topolab: limit nofile=1048576 is not reachable"),
        (["up", "flask-single", *PROCESS, "--set", "somaxconn=77"], "topolab: limit somaxconn=77: the process runtime"),
        (["up", "flask-single", *PROCESS, "--set", "pids=77"], "topolab: limit pids=77 is a container's limit"),
        (["report", "no-such-file.json"], "topolab: no-such-file.json: can't be read: No such file or directory."),
    ],
)  # fmt: skip
def test_bad_input_gets_one_clear_line(lab: Lab, words: list[str], line: str) -> None:
    """What can't be done says so in one line with what to type, exits with 2, and starts nothing."""
    result = lab.run(*words)
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith(line)
    assert "Traceback" not in result.err
    assert result.out == ""
    assert lab.processes() == []


@pytest.mark.parametrize(
    ("topology", "server", "was", "now", "lacks"),
    [
        ("nginx-gunicorn-sync", "nginx", "program: nginx\n", "program: no-nginx\n", "no-nginx"),
        ("apache-mod-wsgi", "mod_wsgi", "program: apache2\nfiles: [/usr/lib/apache2/modules/",
         "program: sh\nfiles: [/no/", "/no/mod_wsgi.so"),
    ],
)  # fmt: skip
def test_what_cannot_run_here_says_the_way_out(
    lab: Lab, tmp_path: Path, topology: str, server: str, was: str, now: str, lacks: str
) -> None:
    """A program that is missing, or a file of it, is named in one line with what to type to have it."""
    topologies = tmp_path / "topologies"
    shutil.copytree(Catalog().root, topologies)
    file = topologies / f"servers/{server}/server.yaml"
    assert was in file.read_text()
    file.write_text(file.read_text().replace(was, now))
    result = lab.run("up", topology, *PROCESS, TOPOLAB_TOPOLOGIES=str(topologies))
    assert result.code == 2
    [line] = result.err.splitlines()
    assert line.startswith(f"topolab: {topology} needs {lacks}, which is not installed. On Debian and Ubuntu: `sudo ")
    assert line.endswith("; or use --runtime compose.")


def test_what_was_typed_is_told_as_it_was_typed(lab: Lab) -> None:
    """Between its colons no word becomes a picture."""
    result = lab.run("show", "waitress", "--app", "/nowhere:bank:app")
    assert result.err.startswith('topolab: --app "/nowhere:bank:app": there is no folder')


def test_a_wrong_option_exits_with_2(lab: Lab) -> None:
    """A misspelt option or verb is answered with the nearest or the usage, exit code 2."""
    assert lab.run("capacity", "gunicorn-sync", "--request", "5").code == 2
    assert lab.run("capcity", "gunicorn-sync").code == 2
    assert lab.run("capacity", "gunicorn-sync", "--requests", "0").code == 2


def test_a_port_in_use_names_its_holder(lab: Lab) -> None:
    """A taken port is refused before anything starts, with who has it and a free one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = lab.run("up", "flask-single", *PROCESS, "--port", str(port))
    assert result.code == 2
    assert f"port {port} is in use by" in result.err
    assert f"(pid {os.getpid()})" in result.err
    assert "Choose another: --port" in result.err


def test_a_server_that_dies_at_start_shows_its_last_lines(lab: Lab, tmp_path: Path) -> None:
    """A server that ends instead of serving is reported with its last output; its stack leaves no trace."""
    topologies = tmp_path / "topologies"
    shutil.copytree(Catalog().root, topologies)
    config = topologies / "servers/gunicorn/gunicorn.conf.py"
    config.write_text(config.read_text() + '\nraise RuntimeError("the configuration is broken")\n')
    result = lab.run("up", "gunicorn-sync", *PROCESS, "--port", str(free_port()), TOPOLAB_TOPOLOGIES=str(topologies))
    assert result.code == 2
    assert "gunicorn-sync did not start: app exited with status 1. Its last lines:" in result.err
    assert "the configuration is broken" in result.err
    assert lab.run("status").out.startswith("Nothing is up.")
    assert lab.processes() == []


@pytest.mark.nginx
def test_when_one_service_dies_all_stop(lab: Lab) -> None:
    """When the app server of a stack with a front is killed, the front stops too, and `status` says what happened."""
    assert lab.run("up", "nginx-gunicorn-sync", *PROCESS, "--port", str(free_port())).code == 0
    [stack] = lab.run("status", "--json").json
    assert stack["services"] == {"app": "running", "front": "running"}
    servers = {process.pid: process for process in lab.processes() if "app.wsgi:application" in process.cmdline()}
    master = next(process for process in servers.values() if process.ppid() not in servers)
    master.kill()
    until(lambda: not lab.processes(), "the whole stack has stopped")
    [stack] = lab.run("status", "--json").json
    assert stack["running"] is False
    assert stack["services"]["front"] == "app was killed by SIGKILL"
    assert lab.run("up", "nginx-gunicorn-sync", *PROCESS, "--port", str(free_port())).code == 0


def test_a_killed_instrument_is_an_error_and_leaves_nothing(lab: Lab) -> None:
    """When the instrument is killed, the lab says so, exits with 2 and takes the stack down; no run is stored."""
    command = lab.start("capacity", "gunicorn-sync", *PROCESS, "--requests", "5000")
    until(lambda: instrument_of(command), "the instrument runs").kill()
    result = ended(command)
    assert result.code == 2
    assert "The instrument was killed by signal 9 before it had a result. Run it again." in result.err
    assert lab.processes() == []
    assert lab.stored() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_lab_takes_everything_down(lab: Lab, number: signal.Signals) -> None:
    """Ctrl-C (or SIGTERM) in the middle of a measurement ends the instrument and the stack, and stores nothing."""
    command = lab.start("capacity", "gunicorn-gevent", *PROCESS, "--requests", "5000")
    instrument = until(lambda: instrument_of(command), "the instrument runs")
    command.send_signal(number)
    result = ended(command)
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith("topolab: interrupted; everything that it had started is stopped.")
    assert "Traceback" not in result.err
    assert has_ended(instrument)
    assert lab.processes() == []
    assert lab.stored() == []
    assert lab.run("status").out.startswith("Nothing is up.")


def test_an_interrupted_installation_ends_at_once(lab: Lab, tmp_path: Path) -> None:
    """Ctrl-C while virtualenvs are made ends those that are begun, and begins no other."""
    topologies = tmp_path / "topologies"
    shutil.copytree(Catalog().root, topologies)
    names = {"flask-single": "werkzeug", "gunicorn-sync": "gunicorn", "waitress": "waitress", "cheroot": "cheroot",
             "granian": "granian", "hypercorn": "hypercorn"}  # fmt: skip
    lock = f"# {tmp_path}\nflask==3.0.0 --hash=sha256:{'0' * 64}\n"
    for server in names.values():
        (topologies / f"servers/{server}/requirements.txt").write_text(lock)
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:  # an index that never answers
        command = lab.start(
            "compare", *names, *PROCESS, TOPOLAB_TOPOLOGIES=str(topologies), NO_PROXY="127.0.0.1", no_proxy="127.0.0.1",
            UV_DEFAULT_INDEX=f"http://127.0.0.1:{silent.getsockname()[1]}/simple", UV_NO_CACHE="1",
        )  # fmt: skip

        def installing() -> list[psutil.Process]:
            with contextlib.suppress(psutil.NoSuchProcess):  # one that has just ended
                children = psutil.Process(command.pid).children(recursive=True)
                return [child for child in children if {"pip", "install"} <= {*child.cmdline()}]
            return []

        begun = until(lambda: len(found := installing()) == 4 and found, "four are installed at a time")
        began = time.monotonic()
        command.send_signal(signal.SIGINT)
        result = ended(command)
    assert time.monotonic() - began < 10
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith("topolab: interrupted; everything that it had started is stopped.")
    assert result.err.count("installing ") == 4
    assert all(has_ended(process) for process in begun)


def test_a_lab_killed_with_9_leaves_nothing_running(lab: Lab) -> None:
    """When the lab itself is killed with -9, its stack and instrument end by themselves; the record is swept next."""
    command = lab.start("capacity", "gunicorn-gevent", *PROCESS, "--requests", "5000")
    instrument = until(lambda: instrument_of(command), "the instrument runs")
    command.kill()
    ended(command)
    until(lambda: not lab.processes() and has_ended(instrument), "the stack and the instrument have ended")
    assert len(list((lab.home / "state/stacks").glob("*/stack.json"))) == 1
    result = lab.run("capacity", "flask-single", *PROCESS, "--requests", "20", "--json")
    assert result.code == 0
    assert "left behind by a topolab that was killed" in result.err
    assert list((lab.home / "state/stacks").glob("*/stack.json")) == []


def test_a_stack_whose_supervisor_was_killed_is_found_and_stopped(lab: Lab) -> None:
    """After kill -9 of a stack's supervisor, `status` says so, and `down` finds and stops what is left."""
    assert lab.run("up", "gunicorn-sync", *PROCESS, "--port", str(free_port())).code == 0
    next(process for process in lab.processes() if "supervisor" in " ".join(process.cmdline())).kill()
    [stack] = lab.run("status", "--json").json
    assert stack["services"] == {"app": "its supervisor was killed"}
    assert lab.run("down", "gunicorn-sync").code == 0
    assert lab.processes() == []


def test_a_second_lab_waits_its_turn(lab: Lab) -> None:
    """Two `up` of one topology at once: exactly one starts it; the other says so or finds it up; one stack runs."""
    port = str(free_port())
    both = [lab.start("up", "gunicorn-sync", *PROCESS, "--port", port) for _ in range(2)]
    results = sorted((ended(command) for command in both), key=lambda result: result.code)
    assert results[0].code == 0
    assert "is up at" in results[0].out
    if results[1].code:
        assert results[1].code == 2
        assert "is starting or stopping" in results[1].err
    else:
        assert "already up" in results[1].out or "already up" in results[0].out
    assert len(lab.run("status", "--json").json) == 1


def test_a_damaged_record_is_named(lab: Lab) -> None:
    """A stack's record that can't be read gives one line with the way out."""
    record = lab.home / "state/stacks/gunicorn-sync/stack.json"
    record.parent.mkdir(parents=True)
    record.write_text("{")
    assert lab.run("capacity", "flask-single", *PROCESS, "--requests", "5").code == 0
    result = lab.run("status")
    assert result.code == 2
    assert "the record of this stack is damaged" in result.err
    assert lab.run("down", "--force").code == 0
    assert lab.run("status").out.startswith("Nothing is up.")


def test_down_goes_on_where_one_is_not_up(lab: Lab) -> None:
    """Of several stacks those that are up are taken down, and all that is wrong with the others is told."""
    assert lab.run("up", "flask-single", *PROCESS, "--port", str(free_port())).code == 0
    result = lab.run("down", "gunicorn-sync", "flask-single", "waitress", "flask-single")
    assert (result.code, result.out) == (2, "flask-single is down\n")
    assert result.err.splitlines() == [
        "topolab: gunicorn-sync is not up. `topolab status` shows what is.",
        "  waitress is not up. `topolab status` shows what is.",
    ]


def test_two_topologies_cannot_take_one_port(lab: Lab) -> None:
    """Two `up` of different topologies on one port at once: one comes up, the other says that the port is taken."""
    port = str(free_port())
    both = [lab.start("up", name, *PROCESS, "--port", port) for name in ("gunicorn-sync", "flask-single")]
    results = sorted((ended(command) for command in both), key=lambda result: result.code)
    assert [result.code for result in results] == [0, 2]
    assert f'is starting or stopping "port-{port}"' in results[1].err or f"port {port} is in use by" in results[1].err
    [stack] = lab.run("status", "--json").json
    assert stack["running"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_interruption_does_not_stop_the_stopping(lab: Lab, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM or a closed terminal, again and again: everything is taken down all the same."""
    command = lab.start("capacity", "gunicorn-gevent", *PROCESS, "--requests", "5000")
    until(lambda: instrument_of(command), "the instrument runs")
    while command.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(command.pid, number)
        time.sleep(0.02)
    result = ended(command)
    assert result.code == 2
    assert lab.processes() == []
    assert list((lab.home / "state/stacks").glob("*")) == []


def test_what_is_ignored_below_nohup_stays_ignored(lab: Lab) -> None:
    """A terminal that is closed ends no measurement below `nohup`, and its servers heed SIGHUP as ever."""
    words = ["capacity", "flask-threaded", *PROCESS, "--requests", "50", "--hold", "3", "--json"]
    command = subprocess.Popen(
        ["nohup", TOPOLAB, *words], env=lab.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until(lambda: instrument_of(command), "the instrument runs")
    server = next(each for each in lab.processes() if "serve.py" in " ".join(each.cmdline()))
    status = Path(f"/proc/{server.pid}/status").read_text()
    command.send_signal(signal.SIGHUP)
    result = ended(command)
    assert result.json["verdict"], result.err
    ignored = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigIgn:"))
    assert not ignored >> (signal.SIGHUP - 1) & 1


def test_a_server_killed_while_it_is_measured_is_named(lab: Lab) -> None:
    """When the server itself dies under the measurement, the error names it and its signal, not the instrument."""
    command = lab.start("capacity", "gunicorn-gevent", *PROCESS, "--requests", "5000")
    until(lambda: instrument_of(command), "the instrument runs")
    servers = {process.pid: process for process in lab.processes() if "app.wsgi:application" in process.cmdline()}
    next(process for process in servers.values() if process.ppid() not in servers).kill()
    result = ended(command)
    assert result.code in (1, 2)
    assert (
        result.code == 1 or "gunicorn-gevent died while it was measured: app: app was killed by SIGKILL" in result.err
    )
    assert lab.processes() == []


def test_a_server_killed_while_it_is_held_is_a_finding(lab: Lab) -> None:
    """A server that is killed after the census leaves its counts and a doubt: the rest is the end of the server."""
    words = ["capacity", "flask-threaded", *PROCESS, "--requests", "50", "--hold", "60", "--json"]
    watching, watched = pty.openpty()
    command = subprocess.Popen(
        [TOPOLAB, *words], env=lab.environment(TERM="xterm"), stdout=subprocess.PIPE, stderr=watched, text=True
    )
    os.close(watched)
    until(lambda: b"holding" in os.read(watching, 65536), "the requests are held")
    next(each for each in lab.processes() if "serve.py" in " ".join(each.cmdline())).kill()
    out, _ = command.communicate(timeout=60)
    os.close(watching)
    run = json.loads(out)
    assert (command.returncode, run["verdict"]) == (1, "SUSPECT")
    assert places(run) == {"app handler": 50}
    assert "server_died" in [finding["code"] for finding in run["findings"]]
    assert {one["fate"] for one in run["held"]} <= {"closed", "reset"}


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda run: run.unlink(), "is not there, or can't be executed. Write it, then chmod +x it."),
        (lambda run: run.chmod(0o644), "is not there, or can't be executed. Write it, then chmod +x it."),
        (lambda run: run.write_text("#!/nope/sh\n"), "run can't be started: No such file or directory"),
    ],
)
def test_a_run_script_that_cannot_run_is_named(
    lab: Lab, tmp_path: Path, spoil: Callable[[Path], None], line: str
) -> None:
    """A `run` that is missing, not executable or without its interpreter gets one line that names it."""
    topologies = tmp_path / "topologies"
    shutil.copytree(Catalog().root, topologies)
    spoil(topologies / "servers/werkzeug/run")
    result = lab.run("capacity", "flask-single", *PROCESS, "--requests", "5", TOPOLAB_TOPOLOGIES=str(topologies))
    assert result.code == 2
    assert line in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("summary: x\napp: {server: gunicorn, workers: 2, workers: 5}", '"workers" stands twice'),
        ("summary: " + "[" * 20_000, "flask-single.yaml"),
        ("a: &a [x, x, x]\n" + "\n".join(f"b{n}: [*a, *a, *a]" for n in range(20)), "uses more than 40 aliases"),
        ("summary: " + "x" * 300_000, "has 300009 bytes"),
    ],
)
def test_a_hostile_yaml_file_gets_one_line(lab: Lab, tmp_path: Path, text: str, line: str) -> None:
    """Keys that stand twice, endless nesting, aliases of aliases and huge files are refused in a line."""
    topologies = tmp_path / "topologies"
    shutil.copytree(Catalog().root, topologies)
    (topologies / "flask-single.yaml").write_text(text)
    result = lab.run("show", "flask-single", TOPOLAB_TOPOLOGIES=str(topologies))
    assert result.code == 2
    assert line in result.err
    assert len(result.err) < 1000
    assert "Traceback" not in result.err


@pytest.mark.parametrize("value", ["--5", "9" * 5000, "٣", "1e3", ""])
def test_a_strange_number_gets_one_line(lab: Lab, value: str) -> None:
    """What is no whole number is refused in a short line, whatever it looks like."""
    result = lab.run("show", "gunicorn-sync", "--set", f"workers={value}")
    assert result.code == 2
    assert result.err.startswith("topolab: --set workers is")
    assert len(result.err) < 200


def test_output_that_cannot_be_written_is_an_error(lab: Lab) -> None:
    """A full disk behind stdout exits with 2 and a line."""
    with Path("/dev/full").open("w") as full:
        result = subprocess.run([TOPOLAB, "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (result.returncode, result.stderr) == (2, "topolab: output: No space left on device.\n")


def test_a_closed_output_is_an_error(lab: Lab) -> None:
    """Where stdout is closed one line says so, and what is opened next is not printed into."""
    closed = ["sh", "-c", 'exec "$0" list >&-', str(TOPOLAB)]
    result = subprocess.run(closed, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "topolab: output: it is closed, and nothing can be printed. Give it a place: >/dev/null, say.\n"
    )


def test_make_takes_values_as_words_only(lab: Lab, tmp_path: Path) -> None:
    """What stands in a make variable is never run by the shell."""
    for variable in ("TOPOLOGY", "LIMITS", "REQUESTS", "SET"):
        arguments = {"TOPOLOGY": "gunicorn-sync", variable: f"x; touch {tmp_path}/pwned #"}
        words = [f"{name}={value}" for name, value in arguments.items()]
        result = subprocess.run(["make", "show", *words], cwd=paths.HOME, capture_output=True, text=True, check=False)
        assert result.returncode == 2, variable
        assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("variable", "option"), [("TOPOLOGY", "--"), ("LIMITS", "--limits"), ("ROUTE", "--route"), ("APP", "--app")]
)
def test_make_expands_nothing_that_was_typed(tmp_path: Path, variable: str, option: str) -> None:
    """What make would run, or take for a variable of its own, comes through as it was typed, or stood outside."""
    text = f"$(shell touch {tmp_path}/pwned) $(HOME) ${{PATH}} $$x $"
    make = ["make", "--no-print-directory", "show", "TOPOLAB=echo"]
    typed = [*make, "TOPOLOGY=x", f"{variable}={text}"]
    outside = make if variable == "TOPOLOGY" else [*make, "TOPOLOGY=x"]
    both: list[tuple[list[str], dict[str, str]]] = [(typed, {}), (outside, {variable: text})]
    for words, more in both:
        made = subprocess.run(words, cwd=paths.HOME, env=os.environ | more, capture_output=True, text=True, check=True)
        assert f" {option} {text}" in made.stdout.splitlines()[-1]
        assert not (tmp_path / "pwned").exists()


def test_a_state_folder_that_cannot_be_written_is_named(lab: Lab) -> None:
    """A state folder that can't be is named with the variable that sets it."""
    result = lab.run("capacity", "flask-single", *PROCESS, TOPOLAB_STATE="/dev/null/x")
    assert result.code == 2
    assert "Set TOPOLAB_STATE to a folder that can." in result.err


def test_a_path_is_no_name_of_a_stack(lab: Lab, tmp_path: Path) -> None:
    """`down --force` with a path, or with dots that lead out, removes nothing."""
    victim = tmp_path / "victim"
    victim.mkdir()
    for name in (str(victim), "../victim", ".."):
        result = lab.run("down", "--force", name)
        assert (result.code, result.err) == (
            2, f'topolab: "{name}" is not the name of a stack. `topolab status` shows them.\n',
        )  # fmt: skip
    assert victim.is_dir()


def test_without_docker_a_stack_of_containers_is_not_forgotten(lab: Lab, tmp_path: Path) -> None:
    """Where docker is gone, `down` of a stack of containers says so, also with --force, and keeps its record."""
    stack = lab.home / "state/stacks/gunicorn-sync"
    stack.mkdir(parents=True)
    (stack / "plan.env").write_text("APP_IMAGE=x\n")
    record = {"name": "gunicorn-sync", "topology": "gunicorn-sync", "runtime": "compose", "port": 1, "plan": {},
              "started": "", "temporary": False}  # fmt: skip
    (stack / "stack.json").write_text(json.dumps(record))
    for words in (["down", "gunicorn-sync"], ["down", "--force", "gunicorn-sync"]):
        result = lab.run(*words, PATH=str(tmp_path))
        assert result.code == 2
        assert "there is no `docker` command" in result.err
        assert "Traceback" not in result.err
    assert (stack / "stack.json").exists()
    shutil.rmtree(stack)


def test_a_comparison_goes_on_without_a_server_that_cannot_be_installed(lab: Lab, tmp_path: Path) -> None:
    """A server whose requirements can't be had is listed as failed with what uv says; the others are measured."""
    topologies = tmp_path / "topologies"
    shutil.copytree(Catalog().root, topologies)
    (topologies / "servers/gunicorn/requirements.txt").write_text(
        "no-such-distribution-anywhere==1.0 --hash=sha256:00\n"
    )
    result = lab.run(
        "compare", "gunicorn-sync", "flask-single", *PROCESS, "--requests", "20", TOPOLAB_TOPOLOGIES=str(topologies)
    )
    assert result.code == 2
    assert "gunicorn could not be installed" in " ".join(result.out.split())
    assert "1 VALID, 1 failed" in result.out
    assert len(lab.stored()) == 1


def test_modules_in_the_folder_that_one_stands_in_are_not_imported(lab: Lab, tmp_path: Path) -> None:
    """A json.py where the person stands is not what the lab's programs import."""
    (tmp_path / "json.py").write_text("raise RuntimeError('imported from the current folder')")
    command = lab.start("capacity", "flask-single", *PROCESS, "--requests", "10", "--json", cwd=tmp_path)
    result = ended(command)
    assert result.code == 0, result.err


def test_no_engine_says_what_to_type(lab: Lab, tmp_path: Path) -> None:
    """Without a container engine, compose is refused with what to type, and auto takes processes and says why."""
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    result = lab.run("capacity", "flask-single", "--runtime", "compose", cwd=None, **nowhere)
    assert result.code == 2
    assert "make engine" in result.err
    assert "--runtime process" in result.err
    auto = lab.run("capacity", "flask-single", "--requests", "10", "--json", cwd=None, **nowhere)
    assert auto.code == 0
    assert auto.err.splitlines()[0].startswith("runtime: process (No container engine")
    assert auto.json["runtime"] == "process"


@pytest.mark.engine
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_engine_that_does_not_admit_us_says_what_to_type() -> None:
    """A user outside the engine's group is told how to join it."""
    script = (
        "import os; from topolab.runtimes import engine; os.setgroups([]); os.setgid(10001); os.setuid(10001);"
        "os.environ['HOME'] = '/'; print(engine.problem())"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("The container engine does not admit this user. Join its group")
    assert engine.problem() is None
