"""What is known: the results that are stored in docs/, by topology. The one place that knows where they are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from topolab import paths, store
from topolab.comparison import Comparison
from topolab.errors import LabError
from topolab.loads import LoadRun, MemoryRun, ThroughputRun
from topolab.paths import shown
from topolab.results import Host, NotRun, Run, to_json

AnyLoad = TypeVar("AnyLoad", bound=LoadRun)

DOCS = paths.HOME / "docs"
CAMPAIGN = "results/campaign"  # what `make reference-campaign` writes


@dataclass(frozen=True, slots=True)
class Costs:
    """What one topology takes by itself: medians of the reference campaign; None where it was not measured.

    `own_cpu_s`, `own_s`: CPU and time of a request that does nothing (`greeting`). `worker_bytes`: all of the stack's
    memory at rest, for each process that serves. `request_bytes`, `connection_bytes`: what each in flight, and each
    idle connection, takes on top, seen on `requests` in flight; `request_of` another topology's, where these were too
    few to tell its own.
    """

    topology: str
    own_cpu_s: float | None = None
    own_s: float | None = None
    worker_bytes: int | None = None
    request_bytes: int | None = None
    connection_bytes: int | None = None
    requests: int = 0
    request_of: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """`reference`: the README's runs; `proof`: every prediction's; `behaviours`: those of docs/behaviours.

    `waits`: what those got that found no handler (`make waits`). `campaign`: the runs under load; empty as long as
    there are none.
    """

    reference: Comparison
    proof: Comparison
    behaviours: Comparison
    waits: Comparison
    campaign: Comparison

    @classmethod
    def stored(cls, docs: Path = DOCS) -> Facts:
        """Reads them. Raises `LabError` where one is damaged."""
        campaign = docs / CAMPAIGN
        return cls(
            reference=store.load(sorted((docs / "results").glob("*.json"))),
            proof=store.load([docs / "proof.json"]),
            behaviours=store.load(sorted((docs / "behaviours").glob("*.json"))),
            waits=store.load([docs / "waits.json"]),
            campaign=store.load([campaign]) if campaign.is_dir() else Comparison(()),
        )

    @property
    def host(self) -> Host:
        """The machine that the README's runs were measured on."""
        return self.reference.runs[0].host

    def behaviour(self, experiment: str, topologies: Iterable[str]) -> list[Run | NotRun]:
        """The runs of one experiment of docs/behaviours on these topologies, and what could not be run."""
        names = set(topologies)
        found: list[Run | NotRun] = [run for run in self.behaviours.others if run.experiment == experiment]
        found += [gap for gap in self.behaviours.not_run if gap.experiment == experiment]
        return sorted((run for run in found if run.topology in names), key=lambda run: run.topology)

    def under_load(self, kind: type[AnyLoad], topology: str) -> list[AnyLoad]:
        """The campaign's runs of one kind on one topology, its repeats in their order."""
        found = [run for run in self.campaign.others if isinstance(run, kind) and run.topology == topology]
        return sorted(found, key=lambda run: run.repeat)

    def campaign_of(self, topologies: Iterable[str]) -> Facts:
        """The same with the campaign's runs of these topologies alone."""
        names = set(topologies)
        others = tuple(run for run in self.campaign.others if run.topology in names)
        return replace(self, campaign=replace(self.campaign, others=others))

    @property
    def measured(self) -> list[MemoryRun]:
        """The campaign's runs that say what a topology takes."""
        return [run for run in self.campaign.others if isinstance(run, MemoryRun)]

    def costs(self, topology: str) -> Costs:
        """What it takes by itself."""
        plateaus = [
            plateau
            for run in self.under_load(ThroughputRun, topology)
            for plateau in run.plateaus
            if plateau.work.name == "greeting"
        ]
        memories = self.under_load(MemoryRun, topology)
        of_thousand = _median(plateau.server_cpu_s for plateau in plateaus)
        return Costs(
            topology=topology,
            own_cpu_s=None if of_thousand is None else of_thousand / 1000,
            own_s=_median(plateau.ceiling.service_s for plateau in plateaus),
            worker_bytes=_whole(run.per_worker_bytes for run in memories),
            request_bytes=_whole(run.per_request_bytes for run in memories),
            connection_bytes=_whole(run.per_connection_bytes for run in memories),
            requests=_whole(run.memory.served for run in memories) or 0,
        )

    def proved(self, topologies: Iterable[str]) -> Comparison:
        """The cells of the proof that are of these topologies."""
        names = set(topologies)
        return replace(
            self.proof,
            runs=tuple(run for run in self.proof.runs if run.topology in names),
            not_run=tuple(gap for gap in self.proof.not_run if gap.topology in names),
        )


def _median(values: Iterable[float | None]) -> float | None:
    """Of those that were measured."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _whole(values: Iterable[int | None]) -> int | None:
    found = _median(values)
    return None if found is None else round(found)


def keep(folder: Path, docs: Path = DOCS) -> Path:
    """Stores a finished campaign as the reference: every run on a line, without histograms, as few digits as are known.

    Raises `LabError` where it is none, or has cells that failed.
    """
    found = store.load([folder])
    if not found.campaign:
        raise LabError(f"{shown(folder)}: is no campaign. Give the folder of one: results/campaigns/NAME.")
    measured = {(run.experiment, run.topology) for run in found.measured}
    for name in found.campaign.cells:
        experiment, topology, _repeat = name.split("/")
        if (experiment, topology) not in measured:
            again = f"`topolab compare --resume {found.campaign.name}` tries it again."
            raise LabError(f"{shown(folder)}: {experiment} on {topology} was not measured. {again}")
    kept = docs / CAMPAIGN
    lines = ",\n".join(json.dumps(_short(to_json(run)), separators=(",", ":")) for run in found.measured)
    store.write_text(kept / store.CAMPAIGN, json.dumps(to_json(found.campaign), indent=1) + "\n")
    store.write_text(kept / "runs.json", f"[\n{lines}\n]\n")
    return kept


def _short(node: Any) -> Any:
    """Without histograms; numbers to six digits."""
    if isinstance(node, dict):
        return {key: "" if key == "hdr" else _short(child) for key, child in node.items()}
    if isinstance(node, list):
        return [_short(child) for child in node]
    return float(f"{node:.6g}") if isinstance(node, float) else node
