"""The role that installs the container engine, run as `make engine` runs it.

Bare machines are played by a `docker` that answers nothing, put in front of the real one, in check mode only.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PLAYBOOK = ("-i", "ansible/inventory/local.yml", "ansible/engine.yml")

NO_DOCKER = "#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n"
NOT_FOR_YOU = "#!/bin/sh\necho 'permission denied while trying to connect to the Docker daemon socket' >&2\nexit 1\n"


def play(*arguments: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()) -> Any:
    """Runs the playbook; text is one line per message, so that a test can look for whole sentences."""
    command = [*before, str(Path(sys.executable).with_name("ansible-playbook")), *PLAYBOOK, *arguments]
    plain = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, **plain, **(env or {})}, capture_output=True, text=True, timeout=120
    )
    done.stdout = re.sub(r"\s+", " ", done.stdout + done.stderr)
    return done


def recap(output: str) -> dict[str, int]:
    """`localhost : ok=7 changed=0 ...` as numbers."""
    found = re.search(r"localhost : (ok=.*)", output)
    assert found, output
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", found[1])}


def a_docker_that(script: str, directory: Path) -> dict[str, str]:
    """An environment in which `docker` is this script, and the home directory is nobody's."""
    docker = directory / "bin/docker"
    docker.parent.mkdir()
    docker.write_text(script)
    docker.chmod(0o755)
    return {"PATH": f"{docker.parent}:{os.environ['PATH']}", "HOME": str(directory)}


def what_it_configures() -> dict[str, str]:
    patterns = ("apt/sources.list.d/*", "apt/preferences.d/*", "default/docker")
    return {str(path): path.read_text() for pattern in patterns for path in Path("/etc").glob(pattern)}


def test_the_playbook_parses() -> None:
    """The playbook and all that it includes are valid Ansible."""
    done = play("--syntax-check")
    assert done.returncode == 0, done.stdout


@pytest.mark.engine
def test_nothing_is_done_where_everything_answers() -> None:
    """Where engine, Compose and buildx answer, the role says so and changes nothing."""
    done = play()
    assert done.returncode == 0, done.stdout
    assert "Nothing to do: engine " in done.stdout
    assert recap(done.stdout)["changed"] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="shows what root would do")
def test_a_dry_run_on_a_bare_machine_tells_and_touches_nothing(tmp_path: Path) -> None:
    """With --check a machine without an engine is told what would be done, in order, and stays as it was."""
    before = what_it_configures()
    done = play("--check", env=a_docker_that(NO_DOCKER, tmp_path))
    assert done.returncode == 0, done.stdout
    told = r"This will, on localhost:.*\binstall .*docker-compose.*docker-buildx.*\bwait up to 60 s"
    assert re.search(told, done.stdout), done.stdout
    assert recap(done.stdout)["failed"] == 0
    assert what_it_configures() == before


def test_without_root_it_says_what_to_type(tmp_path: Path) -> None:
    """An unprivileged user is told what would be done and the command to type, and nothing is tried."""
    unprivileged = ["unshare", "--user"] if os.geteuid() == 0 else []  # in there root is nobody
    done = play(env=a_docker_that(NO_DOCKER, tmp_path), before=unprivileged)
    assert done.returncode == 2
    assert re.search(r"Root is needed for that, and this is \w+\. Type: sudo make engine", done.stdout), done.stdout
    assert recap(done.stdout)["changed"] == 0


def test_a_refused_user_is_not_taken_for_a_missing_engine(tmp_path: Path) -> None:
    """A user who may not talk to a running engine is told of the group, and nothing is installed."""
    done = play(env=a_docker_that(NOT_FOR_YOU, tmp_path))
    assert done.returncode == 2
    assert re.search(r"The Docker engine of localhost refuses (\S+)\. Type: sudo usermod -aG docker \1", done.stdout)
    assert recap(done.stdout)["changed"] == 0


def test_a_mistyped_variable_is_refused() -> None:
    """A value of the wrong type is refused by name before anything is asked."""
    done = play("--extra-vars", "container_engine_deadline_s=soon")
    assert done.returncode == 2
    assert "container_engine_deadline_s" in done.stdout
    assert recap(done.stdout)["changed"] == 0
