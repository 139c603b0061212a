"""The ledger: how many of the N requests stand at each place. It must balance to N."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Service = Literal["app", "front", "client"]
Place = Literal[
    # of a service
    "handler",  # its handler runs (it holds a connection at the gate)
    "waiting",  # accepted by the server, no handler yet
    "accept_queue",  # in the kernel, handshake done, not accepted
    "connecting",  # the service's own connection to the next hop is unanswered
    # of the client
    "unanswered",  # the handshake is unanswered; the kernel keeps retrying
    "refused",  # ECONNREFUSED
    "reset",  # closed without an answer
    "error",  # answered with status 400 or more
    "answered",  # answered before the release
]

SERVICE_PLACES: tuple[Place, ...] = ("handler", "waiting", "accept_queue", "connecting")
CLIENT_PLACES: tuple[Place, ...] = ("unanswered", "refused", "reset", "error", "answered")
TURNED_AWAY: tuple[Place, ...] = ("error", "refused", "reset")

Spot = tuple[Service, Place]

# From the handler outwards: the order in which a ledger is listed and drawn.
SPOTS: tuple[Spot, ...] = (
    *(("app", place) for place in SERVICE_PLACES),
    *(("front", place) for place in SERVICE_PLACES),
    *(("client", place) for place in CLIENT_PLACES),
)


@dataclass(frozen=True, slots=True)
class PlaceCount:
    """`count` requests at one place of one service.

    A prediction for a server that is itself random also carries the bounds that follow from its
    mechanism: the count lies in `at_least`..`at_most`, both included. Without bounds it is exact.
    """

    service: Service
    place: Place
    count: int
    at_least: int | None = None
    at_most: int | None = None

    def allows(self, measured: int) -> bool:
        """Whether a measured count agrees with this prediction."""
        low = self.count if self.at_least is None else self.at_least
        high = self.count if self.at_most is None else self.at_most
        return low <= measured <= high


@dataclass(frozen=True, slots=True)
class Ledger:
    """Places with their counts, in the order of `SPOTS`; places left out hold nobody."""

    places: tuple[PlaceCount, ...]

    @classmethod
    def of(cls, counts: Mapping[Spot, int]) -> Ledger:
        """From counts by spot. Zeros are left out."""
        return cls.sorted(PlaceCount(*spot, count) for spot, count in counts.items() if count)

    @classmethod
    def sorted(cls, places: Iterable[PlaceCount]) -> Ledger:
        """From places in any order."""
        return cls(tuple(sorted(places, key=lambda p: SPOTS.index((p.service, p.place)))))

    def __iter__(self) -> Iterator[PlaceCount]:
        return iter(self.places)

    @property
    def total(self) -> int:
        """The sum over all places: N where it balances."""
        return sum(place.count for place in self.places)

    @property
    def turned_away(self) -> int:
        """How many got an end that was no good answer."""
        return sum(self.at("client", place).count for place in TURNED_AWAY)

    def at(self, service: Service, place: Place) -> PlaceCount:
        """The entry of one place; count 0 where it is left out."""
        for entry in self.places:
            if (entry.service, entry.place) == (service, place):
                return entry
        return PlaceCount(service, place, 0)
