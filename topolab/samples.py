"""Samples: what became of each request of a lap, and the figures that follow from them."""

from __future__ import annotations

import base64
import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray
from pydantic import TypeAdapter

from topolab.errors import LabError
from topolab.loads import Fated, Lap, Latency, Offered, RawLap
from topolab.results import OutcomeFate

# An `instrument.board.Fate` as the end that a client saw; those that saw none are a silence.
FATES: dict[int, OutcomeFate] = {
    3: "refused", 4: "reset", 5: "error", 6: "answered", 7: "timeout", 10: "closed",
}  # fmt: skip
COLUMNS: tuple[tuple[str, str], ...] = (
    ("due_ns", "<i8"),
    ("sent_ns", "<i8"),
    ("ended_ns", "<i8"),
    ("fate", "|u1"),
    ("status", "<u2"),
)
HIGHEST_US = 3_600_000_000  # an hour


@dataclass(frozen=True, slots=True)
class Samples:
    """The requests of one lap, one after the other: when each was due, sent and ended (ns since the first was due; 0
    for what never came), and its fate and status."""

    due_ns: NDArray[np.int64]
    sent_ns: NDArray[np.int64]
    ended_ns: NDArray[np.int64]
    fate: NDArray[np.uint8]
    status: NDArray[np.uint16]

    def of(self, fate: OutcomeFate) -> NDArray[np.bool_]:
        """Which of them came to that end."""
        if fate == "silence":
            return ~np.isin(self.fate, list(FATES))
        return np.isin(self.fate, [number for number, name in FATES.items() if name == fate])

    @property
    def latency_s(self) -> NDArray[np.float64]:
        """From when each was due to its end; means nothing for a silence."""
        return (self.ended_ns - self.due_ns) / 1e9


def columns(raw: RawLap) -> Samples:
    """A lap's samples, decoded. `LabError` when they are not what `count` says."""
    try:
        data = zlib.decompress(base64.b64decode(raw.samples, validate=True))
    except (ValueError, zlib.error) as error:
        raise LabError(f"The samples of a lap can't be decoded: {error}. Run it again.") from error
    expected = raw.count * sum(np.dtype(kind).itemsize for _name, kind in COLUMNS)
    if len(data) != expected:
        raise LabError(f"The samples of a lap are {len(data)} bytes, {expected} were expected. Run it again.")
    found, at = [], 0
    for _name, kind in COLUMNS:
        found.append(np.frombuffer(data, dtype=kind, count=raw.count, offset=at))
        at += found[-1].nbytes
    return Samples(*found)


def lap_of(raw: RawLap) -> Lap:
    """A lap's figures, not judged yet."""
    seen, offered = columns(raw), raw.offered
    answered = seen.of("answered")
    latencies = tuple(
        _latency(fate, seen, which) for fate in dict.fromkeys(FATES.values()) if (which := seen.of(fate)).any()
    )
    achieved, first, second = _rates(offered, seen, answered)
    mean_s = float(seen.latency_s[answered].mean()) if answered.any() else 0.0
    return Lap(
        offered=offered,
        requests=raw.count,
        fates=_fates(seen),
        achieved=_rounded(achieved),
        first_half=_rounded(first),
        second_half=_rounded(second),
        in_flight=_rounded(achieved * mean_s),
        latencies=latencies,
        views=raw.views,
        instrument=raw.instrument,
        machine=raw.machine,
    )


def _rates(offered: Offered, seen: Samples, answered: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Good answers per second: of the lap, and of its two halves.

    Closed loop: of the requests that were sent within the lap, whenever they were answered; what was under way when
    it began stands for what is under way when it ends. Open loop: answers that came within the lap, so that what a
    queue still holds at its end is no throughput of the lap; from the first moment at which one could come.
    """
    if not answered.any():
        return 0.0, 0.0, 0.0
    closed = offered.loop == "closed"
    moments = (seen.due_ns if closed else seen.ended_ns)[answered] / 1e9
    began = 0.0 if closed else min(float(seen.latency_s[answered].min()), offered.seconds / 2)
    half = (began + offered.seconds) / 2
    first, second = int((moments < half).sum()), int(((moments >= half) & (moments < offered.seconds)).sum())
    return (first + second) / (offered.seconds - began), first / (half - began), second / (offered.seconds - half)


def _fates(seen: Samples) -> tuple[Fated, ...]:
    """Counts by end and status, in the order of the ends."""
    found = []
    for fate in (*dict.fromkeys(FATES.values()), "silence"):
        which = seen.of(fate)
        for status, count in zip(*np.unique(seen.status[which], return_counts=True), strict=True):
            found.append(Fated(fate, int(status) or None, int(count)))
    return tuple(found)


def _latency(fate: OutcomeFate, seen: Samples, which: NDArray[np.bool_]) -> Latency:
    latencies, went = np.sort(seen.latency_s[which]), which & (seen.sent_ns > 0)
    sent = np.sort((seen.ended_ns - seen.sent_ns)[went] / 1e9)
    return Latency(
        fate=fate,
        count=len(latencies),
        mean_s=_rounded(float(latencies.mean())),
        p50_s=_at(latencies, 0.5),
        p90_s=_at(latencies, 0.9),
        p99_s=_at(latencies, 0.99),
        p999_s=_at(latencies, 0.999),
        max_s=_at(latencies, 1.0),
        sent_p50_s=_at(sent, 0.5) if len(sent) else 0.0,
        sent_p99_s=_at(sent, 0.99) if len(sent) else 0.0,
        hdr=_histogram(latencies),
    )


def _at(ordered: NDArray[np.float64], share: float) -> float:
    """The smallest of them that at least this share of them does not exceed."""
    return _rounded(float(ordered[max(0, int(np.ceil(share * len(ordered))) - 1)]))


def _rounded(value: float) -> float:
    return round(value, 6)


def _histogram(latencies: NDArray[np.float64]) -> str:
    """An HdrHistogram of microseconds. Filled value by value with their counts: ten times faster than one by one."""
    histogram = HdrHistogram(1, HIGHEST_US, 3)
    micros = np.clip(np.rint(latencies * 1e6), 1, HIGHEST_US).astype(np.int64)
    for value, count in zip(*np.unique(micros, return_counts=True), strict=True):
        histogram.record_value(int(value), int(count))
    encoded: bytes = histogram.encode()
    return encoded.decode()


def packed(laps: Sequence[RawLap]) -> bytes:
    """The samples of a run's laps as one .npz file: `<number>.<column>` for each lap, and what was offered, as JSON."""
    arrays: dict[str, Any] = {"offered": np.array(json.dumps([asdict(lap.offered) for lap in laps]))}
    for number, lap in enumerate(laps):
        seen = columns(lap)
        arrays |= {f"{number}.{name}": getattr(seen, name) for name, _kind in COLUMNS}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def read(path: Path) -> tuple[tuple[Offered, Samples], ...]:
    """What `packed` was given, lap by lap. `LabError` for a file that holds nothing of the kind."""
    try:
        with np.load(path, allow_pickle=False) as file:
            offered = TypeAdapter(tuple[Offered, ...]).validate_json(str(file["offered"]))
            return tuple(
                (lap, Samples(*(file[f"{number}.{name}"] for name, _kind in COLUMNS)))
                for number, lap in enumerate(offered)
            )
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise LabError(f"{path}: holds no samples of topolab ({error}). Run the experiment again.") from error
