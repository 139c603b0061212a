"""Campaigns on disk: a folder that says what is to be measured, and one file for each cell that is.

A cell is one experiment on one topology, once. Whatever ends a campaign (Ctrl-C, kill -9, a power cut), the finished
cells are there, and `--resume` measures the others.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from topolab import paths, store
from topolab.errors import LabError
from topolab.loads import Campaign, LoadRun
from topolab.results import Host, NotRun, Run, to_json

Result = Run | NotRun


@dataclass(frozen=True, slots=True)
class Cell:
    """One experiment on one topology; `repeat` counts from 1."""

    experiment: str
    topology: str
    repeat: int

    @classmethod
    def named(cls, name: str) -> Cell:
        """From `experiment/topology/repeat`."""
        experiment, topology, repeat = name.split("/")
        return cls(experiment, topology, int(repeat))

    def __str__(self) -> str:
        return f"{self.experiment}/{self.topology}/{self.repeat}"

    @property
    def file(self) -> str:
        return f"{self.experiment}-{self.topology}-{self.repeat}.json"


def order(topologies: Sequence[str], experiments: Sequence[str], repeats: int, seed: int) -> tuple[str, ...]:
    """All cells in the order of measuring: each repeat is a complete round, in a random order of its own.

    So a machine that grows slower, or has a bad minute, does so to all topologies alike.
    """
    shuffler, cells = random.Random(seed), []
    for repeat in range(1, repeats + 1):
        cells_of_round = [str(Cell(experiment, name, repeat)) for experiment in experiments for name in topologies]
        shuffler.shuffle(cells_of_round)
        cells += cells_of_round
    return tuple(cells)


@dataclass
class Folder:
    """A campaign that is held open: no other lab can measure it meanwhile."""

    path: Path
    campaign: Campaign
    results: dict[Cell, Result] = field(default_factory=dict)

    @property
    def todo(self) -> list[Cell]:
        """The cells without a run, in their order: those that failed are tried again."""
        cells = [Cell.named(name) for name in self.campaign.cells]
        return [cell for cell in cells if not isinstance(self.results.get(cell), Run)]

    def disturbed(self, attempts: int) -> list[Cell]:
        """The cells that the machine was busy in, and that were measured fewer times than this.

        Only where half of their repeats or more are such cells: a median of fewer lies among the undisturbed ones.
        """
        repeats: dict[tuple[str, str], list[tuple[Cell, LoadRun]]] = {}
        for cell, run in self.results.items():
            if isinstance(run, LoadRun):
                repeats.setdefault((cell.experiment, cell.topology), []).append((cell, run))
        return [
            cell
            for each in repeats.values()
            if 2 * sum(run.disturbed > 0 for _, run in each) >= len(each)
            for cell, run in each
            if run.disturbed and run.attempts < attempts
        ]

    def store(self, cell: Cell, result: Result, samples: bytes = b"") -> None:
        """Keeps what became of a cell, whole on the disk when this returns; the run last, as it is what counts."""
        if samples:
            (self.path / cell.file).unlink(missing_ok=True)  # of an earlier attempt: those samples are not its own
            store.write_bytes((self.path / cell.file).with_suffix(store.SAMPLES), samples)
        write(self.path / cell.file, result)
        self.results[cell] = result

    def change(self, **values: Any) -> None:
        """Keeps what is known of the campaign only now: the calibration, or another baseline."""
        self.campaign = replace(self.campaign, **values)
        write(self.path / store.CAMPAIGN, self.campaign)


def write(path: Path, what: Campaign | Result) -> None:
    """One document of a campaign."""
    store.write_text(path, json.dumps(to_json(what), indent=1) + "\n")


@contextlib.contextmanager
def begun(campaign: Campaign) -> Iterator[Folder]:
    """A new campaign's folder. `LabError` where there is one of that name."""
    path = _path(campaign.name)
    with _held(path):
        if (path / store.CAMPAIGN).exists():
            raise LabError(
                f'There is a campaign "{campaign.name}" already ({paths.shown(path)}). `topolab compare --resume '
                f"{campaign.name}` goes on with it; or choose another --name."
            )
        if any(path.glob("*.json")):
            raise LabError(
                f"{paths.shown(path)}: holds results without {store.CAMPAIGN}, and would be written over. Choose "
                "another --name, or move them away."
            )
        write(path / store.CAMPAIGN, campaign)
        yield Folder(path, campaign)


@contextlib.contextmanager
def resumed(name: str) -> Iterator[Folder]:
    """The folder of a campaign that was begun, with what it has."""
    path = _path(name)
    if not path.is_dir():
        raise LabError(f'There is no campaign "{name}" in {paths.shown(path.parent)}.{_known()}')
    with _held(path):
        for part in path.glob(".*.part"):  # of a lab that was killed while it wrote
            part.unlink(missing_ok=True)
        campaign = read(path)
        yield Folder(path, campaign, dict(results(path, campaign)))


def read(path: Path) -> Campaign:
    """What a campaign's folder is to measure."""
    file = path / store.CAMPAIGN
    instead = f"Begin another campaign (--name); what this one has measured stays in {paths.shown(path)}."
    try:
        campaign = store.load([file]).campaign
    except LabError as error:
        raise LabError(f"{error} Without it nothing of the campaign can go on. {instead}") from error
    assert campaign
    for name in campaign.cells:
        if not _is_cell(name, campaign):
            raise LabError(f'{paths.shown(file)}: cells: "{name[:80]}" is no cell of this campaign. {instead}')
    return campaign


def _is_cell(name: str, campaign: Campaign) -> bool:
    try:
        cell = Cell.named(name)
    except ValueError:
        return False
    known = cell.experiment in campaign.experiments and cell.topology in campaign.topologies
    return known and 1 <= cell.repeat <= campaign.repeats


def results(path: Path, campaign: Campaign) -> Iterator[tuple[Cell, Result]]:
    """The finished cells, in their order. A file that is damaged is one clear `LabError`."""
    for cell in map(Cell.named, campaign.cells):
        file = path / cell.file
        if not file.exists():
            continue
        again = f"Remove it, and `topolab compare --resume {campaign.name}` measures that cell again."
        try:
            found = store.load([file])
        except LabError as error:
            raise LabError(f"{error} {again}") from error
        of_cell: list[Result] = [*found.measured, *found.not_run]
        if [(each.experiment, each.topology) for each in of_cell] != [(cell.experiment, cell.topology)]:
            raise LabError(f"{paths.shown(file)}: is not a result of {cell.experiment} on {cell.topology}. {again}")
        yield cell, of_cell[0]


def latest(attempts: int, say: Callable[[str], None]) -> str:
    """The name of the newest campaign that is not finished: with cells to measure, or to measure again.

    One that is damaged is passed over, and that is said.
    """
    found: list[tuple[Path, Campaign]] = []
    for path in sorted(file.parent for file in _root().glob(f"*/{store.CAMPAIGN}")):
        with _passing_over(path, say):
            found.append((path, read(path)))
    for path, campaign in sorted(found, key=lambda each: each[1].started, reverse=True):
        with _passing_over(path, say):
            folder = Folder(path, campaign, dict(results(path, campaign)))
            if folder.todo or folder.disturbed(attempts):
                return path.name
    raise LabError(f"No campaign in {paths.shown(_root())} is unfinished.{_known()}")


@contextlib.contextmanager
def _passing_over(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    try:
        yield
    except LabError as error:
        say(f"campaign {path.name} is passed over: {error}")


def require_as_typed(begun_with: Campaign, now: Campaign) -> None:
    """A campaign goes on with what it was begun with: whoever types something else wants another one."""
    for name in ("runtime", "topologies", "experiments", "repeats", "seed", "words"):
        was, wanted = getattr(begun_with, name), getattr(now, name)
        if was != wanted:
            raise LabError(
                f'Campaign "{begun_with.name}" was begun with {_said(name, was)}, and now it is {_said(name, wanted)}. '
                f"Type `topolab compare --resume {begun_with.name}` alone, or begin another one."
            )


def require_same(begun_with: Campaign, now: Campaign) -> None:
    """A campaign goes on where machine and plans are what they were: else its repeats are not of the same thing."""
    changed = [*_machine(begun_with.host, now.host), *_plans(begun_with.plans, now.plans)]
    if changed:
        raise LabError(
            f'Campaign "{begun_with.name}" can\'t go on, as its repeats would not be of the same thing: '
            f"{'; '.join(changed)}. Begin another one (--name)."
        )


def _machine(was: Host | None, now: Host | None) -> list[str]:
    """What is another machine, or the same one changed; a few megabytes more or less are not."""
    if not was or not now:
        return []
    names = [each.name for each in fields(Host) if each.name != "memory_bytes"]
    return [
        f"{name} was {getattr(was, name)} and is {getattr(now, name)}"
        for name in names
        if getattr(was, name) != getattr(now, name)
    ]


def _plans(was: dict[str, dict[str, str]], now: dict[str, dict[str, str]]) -> list[str]:
    return [
        f"{topology}: {key.lower()} was {was[topology].get(key) or 'unset'} and is {now[topology].get(key) or 'unset'}"
        for topology in was.keys() & now.keys()
        for key in sorted(was[topology].keys() | now[topology].keys())
        if was[topology].get(key) != now[topology].get(key)
    ]


def _said(name: str, value: object) -> str:
    """A part of a campaign as it was typed."""
    if name == "words" and isinstance(value, tuple):
        return " ".join(value) or "no further options"
    if name == "topologies" and isinstance(value, tuple):
        return " ".join(value)
    return f"--{name} {','.join(value) if isinstance(value, tuple) else value}"


def _root() -> Path:
    return paths.RESULTS / "campaigns"


def _path(name: str) -> Path:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise LabError(f'"{name}" is no name of a campaign: letters, digits, ".", "-" and "_" are.')
    return _root() / name


def _known() -> str:
    names = sorted(path.parent.name for path in _root().glob(f"*/{store.CAMPAIGN}"))
    begin = "Begin one: topolab compare --experiments throughput,latency --repeats 3."
    return f" There are {', '.join(names)}." if names else f" {begin}"


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Two labs never measure the same campaign at once. The lock is the folder's own: it ends with its process."""
    store.make_folder(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LabError(
                f'Another topolab is measuring campaign "{path.name}" right now. Wait for it, or choose another --name.'
            ) from error
        yield
    finally:
        os.close(descriptor)
