"""`python -m benchmarks [NAME...]`: each benchmark prints what it took, and the bound that it must keep.

fresh      a fresh clone, empty caches, to the finished comparison in local processes, downloads included
again      the standard topologies once more, everything being there
standard   the standard topologies: ledger, latency and memory, three repeats of each
one        one `capacity` of 1,000 requests, up and down included (median of 5)
held       10,000 requests held in gunicorn-gevent with two workers, placed exactly; and the instrument's memory
all        every topology in both runtimes, images and virtualenvs being there
build      every image from nothing: it removes them and the build cache first
hosts      a bare host (Debian 12) to a healthy stack: one, again, with the engine there, four side by side
same       two campaigns of the same thing say "no difference", and one with a planted 15 % slow-down says "worse"
instrument the load engine against wrk, Locust, ab and hey; it installs what is missing of them (as root, by apt-get)
up         `topolab up` to healthy against the same stack's bare `docker compose up --wait` (medians of 5, interleaved)
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.differences import same_and_slower
from benchmarks.figures import Figure, timed
from benchmarks.instrument import instrument
from tests.hosts import inventory, running
from topolab import host, paths
from topolab.errors import LabError
from topolab.plan import resolve
from topolab.runtimes import engine, images
from topolab.runtimes.ports import free_port
from topolab.topology import Catalog

TOPOLAB = Path(sys.executable).parent / "topolab"
REPEATS = 5
BASES = ("topolab-base:bookworm", "topolab-base:trixie")


def capacity(*words: str) -> tuple[float, Any]:
    seconds, out = timed(TOPOLAB, "capacity", *words, "--runtime", "process", "--json")
    return seconds, json.loads(out)


def fresh() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        clone, caches = Path(folder, "clone"), Path(folder, "caches")
        timed("git", "clone", "--quiet", paths.HOME, clone)
        empty = {
            "XDG_CACHE_HOME": str(caches),
            "UV_CACHE_DIR": str(caches / "uv"),
            "PIP_CACHE_DIR": str(caches / "pip"),
        }
        seconds, out = timed("make", "compare", "RUNTIME=process", cwd=clone, env={"TOPOLAB_HOME": "", **empty})
        valid = out.strip().splitlines()
        count = next((line for line in valid if "VALID" in line and line[0].isdigit()), "")
        yield Figure("fresh clone to the finished comparison", seconds, 120, "s", count)


def again() -> Iterator[Figure]:
    names = Catalog().chosen(())
    seconds, _ = timed(TOPOLAB, "compare", "--runtime", "process")
    yield Figure(f"the {len(names)} standard topologies, everything being there", seconds, 40, "s")


def standard() -> Iterator[Figure]:
    names = Catalog().chosen(())
    with tempfile.TemporaryDirectory() as results:
        seconds, out = timed(
            TOPOLAB, "compare", "--experiments", "capacity,latency,memory", "--repeats", "3", "--runtime", "process",
            "--json", env={"TOPOLAB_RESULTS": results}, suspect=True,
        )  # fmt: skip
    figures = json.loads(out)["medians"]
    note = f"{sum(figure['verdict'] == 'VALID' for figure in figures)} of {len(figures)} medians VALID"
    yield Figure(f"{len(names)} topologies: ledger, latency, memory, 3 repeats", seconds, 480, "s", note)


def one() -> Iterator[Figure]:
    for name in Catalog().chosen(()):
        taken = [capacity(name, "--requests", "1000")[0] for _ in range(REPEATS)]
        yield Figure(f"1,000 requests, {name}", statistics.median(taken), 5, "s", f"worst {max(taken):.2f}")


def held() -> Iterator[Figure]:
    seconds, run = capacity(
        "gunicorn-gevent", "--requests", "10000", "--set", "workers=2", "--set", "worker_connections=5000"
    )
    place = run["measured"]["places"]
    note = f"{run['verdict']}: {place[0]['count']:,} in {place[0]['place']}, {len(place)} place"
    yield Figure("10,000 held in gunicorn-gevent, two workers", seconds, 15, "s", note)
    yield Figure("the instrument's memory then", run["instrument"]["memory_bytes"] / 2**20, 150, "MiB")


def up() -> Iterator[Figure]:
    name = "gunicorn-sync"
    timed(TOPOLAB, "up", name, "--runtime", "compose", "--port", str(free_port()))  # builds what is missing
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder, "plan.env")
        recorded = paths.STATE / "stacks" / name / "plan.env"
        plan.write_text(recorded.read_text().replace(str(recorded), str(plan)))
        timed(TOPOLAB, "down", name)
        bare = ["docker", "compose", "--project-name", "topolab-bench", "--env-file", str(plan),
                "--file", str(images.COMPOSE_FILE)]  # fmt: skip
        ours, theirs = [], []
        for _ in range(REPEATS):
            ours.append(timed(TOPOLAB, "up", name, "--runtime", "compose", "--port", str(free_port()))[0])
            timed(TOPOLAB, "down", name)
            theirs.append(timed(*bare, "up", "--detach", "--wait", env=engine.environment())[0])
            timed(*bare, "down", "--volumes", env=engine.environment())
    ratio = statistics.median(ours) / statistics.median(theirs)
    note = f"{statistics.median(ours):.2f} s against {statistics.median(theirs):.2f} s"
    yield Figure("topolab up / docker compose up --wait", ratio, 1.5, "x", note)


def all_topologies() -> Iterator[Figure]:
    for runtime, bound in (("process", 240), ("compose", 420)):
        timed(TOPOLAB, "compare", "all", "--runtime", runtime, "--requests", "10", "--json")  # makes what is missing
        seconds, out = timed(TOPOLAB, "compare", "all", "--runtime", runtime, "--json")
        runs = json.loads(out)
        note = f"{sum(run['verdict'] == 'VALID' for run in runs)} of {len(runs)} VALID"
        yield Figure(f"all {len(runs)} topologies, {runtime}", seconds, bound, "s", note)


def build() -> Iterator[Figure]:
    plans = [resolve(Catalog(), name) for name in Catalog().names]
    tags = sorted({image.tag for plan in plans for image in images.of(plan)})
    engine.docker(["image", "rm", "--force", *tags, *BASES])
    engine.docker(["builder", "prune", "--all", "--force"])
    started = time.monotonic()
    failed = images.build(plans, lambda line: print(f"  {line}", file=sys.stderr))
    yield Figure(
        f"{len(tags)} images from nothing, base included", time.monotonic() - started, 480, "s", str(failed or "")
    )


def on_hosts() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        names = ("one", "a", "b", "c", "d")
        with running(dict.fromkeys(names, "bookworm"), Path(folder)) as hosts:
            one = inventory(Path(folder, "one.yml"), [hosts["one"]])
            four = inventory(Path(folder, "four.yml"), [hosts[name] for name in names[1:]])
            up = (TOPOLAB, "up", "gunicorn-sync", "--limits", "tuned", "--hosts")
            alone, _ = timed(*up, one)
            yield Figure("a bare host to a healthy stack, engine installed", alone, 60, "s")
            again, out = timed(*up, one)
            yield Figure("the same again", again, 12, "s", "changed=0" if "nothing to change" in out else "CHANGED")
            timed(TOPOLAB, "down", "--hosts", one)
            hosts["one"].run("docker image prune --all --force; rm -rf /opt/topolab")
            seconds, _ = timed(*up, one)
            yield Figure("a host with an engine to a healthy stack", seconds, 25, "s", "no image, no release there")
            seconds, _ = timed(*up, four)
            yield Figure("four bare hosts / one", seconds / alone, 2, "x", f"{seconds:.1f} s against {alone:.1f} s")


def same() -> Iterator[Figure]:
    for what, wrong, seen in same_and_slower():
        yield Figure(what, wrong, 0, "", f"ratios {seen}")


BENCHMARKS: dict[str, Callable[[], Iterator[Figure]]] = {
    "fresh": fresh, "again": again, "standard": standard, "one": one, "held": held, "same": same, "up": up,
    "all": all_topologies, "build": build, "hosts": on_hosts, "instrument": instrument,
}  # fmt: skip


def _kept_away(before: Any, after: Any) -> float:
    """The share of the CPU time that this machine wanted and its host did not give it: a bound was for a quiet one."""
    wanted = [getattr(after, kind) - getattr(before, kind) for kind in after._fields if kind not in ("idle", "iowait")]
    return float((after.steal - before.steal) / (sum(wanted) or 1.0))


def main(names: list[str]) -> int:
    """Runs the named benchmarks (all without names). 1: a bound was missed; 2: a wrong name, or one that can't run."""
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}.{__doc__}", file=sys.stderr)
        return 2
    machine = host.fingerprint()
    print(f"{machine.cpu}, {machine.cores} cores, {machine.os}, kernel {machine.kernel}", flush=True)
    missed = False
    for name in names or BENCHMARKS:
        before = psutil.cpu_times()
        try:
            for figure in BENCHMARKS[name]():
                print(figure, flush=True)
                missed |= figure.missed
        except LabError as error:
            print(f"{name}: {error}", *error.details, sep="\n", file=sys.stderr)
            return 2
        print(f"{name}: the host kept {_kept_away(before, psutil.cpu_times()):.0%} of the CPU time", flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
