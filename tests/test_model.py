"""The capacity model: predicted ledgers, as whole ledgers."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from topolab.errors import LabError
from topolab.filling import independent
from topolab.ledger import Spot
from topolab.model import ends, lines, predict
from topolab.plan import resolve
from topolab.results import Prediction
from topolab.topology import Catalog


def predicted(catalog: Catalog, name: str, requests: int, *sets: str) -> Prediction:
    return predict(resolve(catalog, name, sets=sets, requests=requests), requests)


def places(prediction: Prediction) -> dict[str, int]:
    return {f"{place.service} {place.place}": place.count for place in prediction.places}


HANDLER, WAITING, QUEUE = "app handler", "app waiting", "app accept_queue"
FRONT_WAITING, FRONT_QUEUE = "front waiting", "front accept_queue"
UNANSWERED, ERROR, RESET, CONNECTING = "client unanswered", "client error", "client reset", "front connecting"


@pytest.mark.parametrize(
    ("name", "requests", "sets", "expected", "bound_by"),
    [
        # As measured in the field: N, then what stood where.
        ("flask-threaded", 600, [], {HANDLER: 600}, None),
        ("flask-single", 300, [], {HANDLER: 1, QUEUE: 129, UNANSWERED: 170}, "threaded=false"),
        ("flask-single", 300, ["somaxconn=64"], {HANDLER: 1, QUEUE: 65, UNANSWERED: 234}, "threaded=false"),
        ("flask-forking", 400, ["processes=100"], {HANDLER: 100, QUEUE: 129, UNANSWERED: 171}, "processes"),
        ("flask-forking", 300, ["processes=10"], {HANDLER: 10, QUEUE: 129, UNANSWERED: 161}, "processes"),
        ("uwsgi-threads", 300, ["threads=10"], {HANDLER: 10, QUEUE: 101, UNANSWERED: 189}, "threads"),
        ("gunicorn-sync", 3000, ["workers=4"], {HANDLER: 4, QUEUE: 2049, UNANSWERED: 947}, "workers"),
        ("gunicorn-sync", 300, ["workers=4", "backlog=64"], {HANDLER: 4, QUEUE: 65, UNANSWERED: 231}, "workers"),
        ("gunicorn-sync", 400, ["workers=4", "somaxconn=128"], {HANDLER: 4, QUEUE: 129, UNANSWERED: 267}, "workers"),
        ("gunicorn-gthread", 1500, ["workers=1", "threads=10"], {HANDLER: 10, WAITING: 990, QUEUE: 500}, "threads"),
        ("gunicorn-gthread", 300, ["workers=1", "threads=10", "worker_connections=50", "backlog=64"],
         {HANDLER: 10, WAITING: 40, QUEUE: 65, UNANSWERED: 185}, "threads"),
        ("gunicorn-gevent", 1500, ["workers=1"], {HANDLER: 1000, QUEUE: 500}, "worker_connections"),
        ("gunicorn-gevent", 400, ["workers=2", "worker_connections=100", "backlog=64"],
         {HANDLER: 200, QUEUE: 65, UNANSWERED: 135}, "worker_connections"),
        ("nginx-gunicorn-sync", 400, ["workers=4"], {HANDLER: 4, QUEUE: 396}, "workers"),
        ("nginx-gunicorn-sync", 300, ["workers=4", "app.backlog=64"], {HANDLER: 4, QUEUE: 65, ERROR: 231}, "workers"),
        ("nginx-gunicorn-sync", 300, ["workers=4", "app.backlog=64", "listen=tcp"],
         {HANDLER: 4, QUEUE: 65, CONNECTING: 231}, "workers"),
        ("nginx-gunicorn-sync", 300, ["workers=4", "front.worker_connections=128"],
         {HANDLER: 4, QUEUE: 59, RESET: 237}, "workers"),
        ("apache-mod-wsgi", 300, ["processes=2", "threads=5"],
         {HANDLER: 10, QUEUE: 101, FRONT_WAITING: 189}, "threads"),
        ("apache-mod-wsgi", 400, ["threads=10", "max_request_workers=25"],
         {HANDLER: 10, QUEUE: 15, FRONT_QUEUE: 375}, "threads"),
        ("apache-mod-wsgi", 1000, ["threads=10", "max_request_workers=25"],
         {HANDLER: 10, QUEUE: 15, FRONT_QUEUE: 512, UNANSWERED: 463}, "threads"),
        ("uwsgi-http", 400, ["threads=10"], {HANDLER: 10, QUEUE: 101, CONNECTING: 289}, "threads"),
        ("uwsgi-http", 1000, ["nofile=256", "backlog=50"],
         {HANDLER: 10, QUEUE: 51, CONNECTING: 63, FRONT_QUEUE: 51, UNANSWERED: 825, RESET: 0}, "threads"),
        ("uwsgi-http", 1000, ["nofile=257"], {HANDLER: 10, QUEUE: 101, CONNECTING: 13, RESET: 876}, "threads"),
    ],
)  # fmt: skip
def test_the_predicted_ledger_is_the_one_that_was_measured(
    catalog: Catalog, name: str, requests: int, sets: list[str], expected: dict[str, int], bound_by: str | None
) -> None:
    """For settings whose ledger was measured by hand, the model gives that ledger and names the limit that binds."""
    prediction = predicted(catalog, name, requests, *sets)
    assert places(prediction) == expected
    assert prediction.bound_by == bound_by


def test_a_front_that_answers_at_once_gets_its_slot_back(catalog: Catalog) -> None:
    """Over a unix socket the app's own room is what counts, not nginx's connections: the excess is all 502."""
    prediction = predicted(catalog, "nginx-gunicorn-sync", 5000, "workers=4", "app.backlog=64")
    assert places(prediction) == {HANDLER: 4, QUEUE: 65, ERROR: 4931}


@pytest.mark.parametrize(
    ("nofile", "expected"),
    [
        (256, {HANDLER: (126, None, None), QUEUE: (129, 0, 129), UNANSWERED: (45, 0, 45), ERROR: (0, 0, 174)}),
        (257, {HANDLER: (126, None, None), ERROR: (174, None, None)}),
    ],
)
def test_the_last_descriptor_decides_what_the_rest_sees(
    catalog: Catalog, nofile: int, expected: dict[str, tuple[int, int | None, int | None]]
) -> None:
    """An even nofile leaves the rest in line, but for those that lose a race; an odd one turns each of them away."""
    prediction = predicted(catalog, "flask-threaded", 300, f"nofile={nofile}")
    found = {
        f"{place.service} {place.place}": (place.count, place.at_least, place.at_most) for place in prediction.places
    }
    assert found == expected
    assert prediction.bound_by == "nofile"


def test_every_prediction_balances(catalog: Catalog) -> None:
    """For every topology and many N, the predicted places add up to N."""
    for name in catalog.names:
        for requests in (1, 2, 10, 129, 130, 131, 1000, 9999):
            assert predicted(catalog, name, requests).ledger.total == requests, (name, requests)


def test_a_random_server_gets_bounds_and_the_reason(catalog: Catalog) -> None:
    """gthread with as many requests as threads: the workers share them unevenly, so the model gives bounds."""
    prediction = predicted(catalog, "gunicorn-gthread", 40, "workers=4", "threads=10")
    handler, waiting = prediction.places
    assert (handler.count, handler.at_least, handler.at_most) == (40, 10, 40)
    assert (waiting.count, waiting.at_least, waiting.at_most) == (0, 0, 30)
    assert prediction.because
    assert handler.allows(17)
    assert not handler.allows(9)


def test_a_random_server_is_exact_where_its_mechanism_is(catalog: Catalog) -> None:
    """One gthread worker can't share unevenly: no bounds."""
    prediction = predicted(catalog, "gunicorn-gthread", 40, "workers=1", "threads=10")
    assert [(place.count, place.at_least) for place in prediction.places] == [(10, None), (30, None)]


def test_the_limit_behind_the_binding_one_is_named(catalog: Catalog) -> None:
    """`next_limit` is the one that would bind if the first were raised."""
    prediction = predicted(catalog, "gunicorn-gevent", 1500, "workers=1", "worker_connections=1000", "nofile=4096")
    assert (prediction.bound_by, prediction.next_limit) == ("worker_connections", "nofile")


def test_lines_are_in_the_order_in_which_they_bind(catalog: Catalog) -> None:
    """The limits on handlers come with the number of requests at which each binds, the first at the front."""
    found = lines(resolve(catalog, "gunicorn-gthread", sets=["workers=2", "threads=10"]), 1000)
    assert [(line.bound_by, line.at) for line in found][:2] == [("threads", 20), ("worker_connections", 2000)]


def test_bounds_of_independent_listeners_are_those_of_every_possible_share() -> None:
    """For small numbers, the bounds are exactly the extremes over all ways in which requests can come to listeners."""
    handler: Spot = ("app", "handler")
    waiting: Spot = ("app", "waiting")
    queue: Spot = ("app", "accept_queue")
    outside: Spot = ("client", "unanswered")
    for listeners, (h, w, k), requests in itertools.product(
        (2, 3), ((1, 0, 2), (2, 1, 1), (1, 2, 3), (3, 0, 1)), range(1, 16)
    ):
        shares = [share for share in itertools.product(range(requests + 1), repeat=listeners) if sum(share) == requests]
        extremes = {}
        for spot, low, high in (
            (handler, 0, h), (waiting, h, h + w), (queue, h + w, h + w + k), (outside, h + w + k, requests),
        ):  # fmt: skip
            totals = [sum(max(0, min(n, high) - low) for n in share) for share in shares]
            if min(totals) < max(totals):
                extremes[spot] = (min(totals), max(totals))
        rooms: list[tuple[Spot, float]] = [
            (handler, h * listeners), (waiting, w * listeners), (queue, k * listeners),
        ]  # fmt: skip
        assert independent(requests, listeners, rooms, outside) == extremes, (listeners, h, w, k, requests)


def test_a_front_gets_its_slot_back_also_where_the_app_answers_at_once(catalog: Catalog) -> None:
    """A worker with one descriptor left answers all the others, so that none of them is held off by the router's."""
    prediction = predicted(catalog, "uwsgi-http", 400, "threads=200", "nofile=257")
    assert places(prediction) == {HANDLER: 24, ERROR: 376}


def test_a_front_that_races_for_its_last_descriptors_gets_bounds(catalog: Catalog) -> None:
    """nginx at its descriptors: what it does not admit waits in its own queue, or ends with an error."""
    prediction = predicted(catalog, "nginx-gunicorn-sync", 1000, "nofile=256")
    found = {
        f"{place.service} {place.place}": (place.count, place.at_least, place.at_most) for place in prediction.places
    }
    assert found == {
        HANDLER: (4, None, None), QUEUE: (120, None, None),
        FRONT_QUEUE: (512, 0, 512), UNANSWERED: (364, 0, 364), ERROR: (0, 0, 876),
    }  # fmt: skip


def test_a_front_that_is_random_itself_moves_the_bounds_of_what_stands_there(catalog: Catalog) -> None:
    """Apache's 16 processes may each leave a thread idle: up to 16 requests fewer inside, and as many more outside."""
    found = {
        f"{place.service} {place.place}": (place.count, place.at_least, place.at_most)
        for place in predicted(catalog, "apache-mod-wsgi", 1000).places
    }
    assert found == {
        HANDLER: (15, None, None), QUEUE: (101, None, None), FRONT_WAITING: (284, 268, 284),
        FRONT_QUEUE: (512, None, None), UNANSWERED: (88, 88, 104),
    }  # fmt: skip


def test_a_process_that_dies_of_its_limit_leaves_the_rest_anywhere(catalog: Catalog) -> None:
    """Where a limit kills, all may end with an error, and every place holds anything up to what would fill it."""
    prediction = predicted(catalog, "apache-mod-wsgi", 300, "threads=200", "nofile=256")
    found = {f"{place.service} {place.place}": (place.at_least, place.at_most) for place in prediction.places}
    assert found == {HANDLER: (0, 82), QUEUE: (0, 101), FRONT_WAITING: (0, 117), ERROR: (0, 300)}
    assert prediction.because
    assert prediction.bound_by == "nofile"


def test_a_queue_of_its_own_is_not_shared_out_by_the_requests(catalog: Catalog) -> None:
    """Where one listener alone has room for all, nobody can be unanswered, however the requests fall."""
    prediction = predicted(catalog, "granian", 100, "workers=2", "backpressure=10", "blocking_threads=2", "backlog=128")
    found = {f"{place.service} {place.place}": (place.at_least, place.at_most) for place in prediction.places}
    assert found == {HANDLER: (2, 4), WAITING: (8, 16), QUEUE: (80, 90)}


def test_each_place_has_an_end_and_a_line_that_draws_it(catalog: Catalog) -> None:
    """`ends` names for every place how many it holds and which setting or limit says so."""
    plan = resolve(
        catalog, "nginx-gunicorn-gthread", sets=["threads=10", "app.worker_connections=50", "app.backlog=64"]
    )
    assert ends(plan, 1000) == (
        (("app", "handler"), 10, "threads"), (("app", "waiting"), 40, "worker_connections"),
        (("app", "accept_queue"), 65, "backlog, somaxconn"), (("front", "waiting"), 2047, "front.worker_connections"),
    )  # fmt: skip


def test_an_event_loop_may_accept_a_few_more_than_it_handles(catalog: Catalog) -> None:
    """Tornado accepts for three rounds before its first view: who waits then is missing outside, or in the queue."""
    for requests, expected in (
        (1000, {HANDLER: (None, None), WAITING: (0, 383), QUEUE: (None, None), UNANSWERED: (487, 870)}),
        (100, {HANDLER: (None, None), WAITING: (0, 99), QUEUE: (0, 99)}),
    ):
        places = predicted(catalog, "tornado-wsgi", requests).places
        found = {f"{place.service} {place.place}": (place.at_least, place.at_most) for place in places}
        assert found == expected


@pytest.mark.parametrize(("nofile", "may_fail"), [(256, True), (16384, False)])
def test_where_descriptors_turn_requests_away_others_may_fail_later(
    catalog: Catalog, nofile: int, may_fail: bool
) -> None:
    """A server short of descriptors may give those that the release frees to new connections first."""
    assert bool(predicted(catalog, "cheroot", 300, f"nofile={nofile}").may_fail) is may_fail


@pytest.mark.parametrize(
    ("formula", "problem"),
    [("worker", "'worker' is not defined"), ("workers +", "invalid syntax"), ("__import__('os')", "not defined")],
)
def test_a_wrong_formula_names_its_place(own_topologies: Path, formula: str, problem: str) -> None:
    """A formula that does not work is an error that names server.yaml, the place, and what it may use."""
    path = own_topologies / "servers/gunicorn/server.yaml"
    path.write_text(path.read_text().replace("count: workers,", f'count: "{formula}",'))
    with pytest.raises(LabError) as caught:
        predicted(Catalog(own_topologies), "gunicorn-sync", 10)
    assert str(caught.value).startswith(f'{path}: handler: the formula "{formula}"')
    assert problem in str(caught.value)


def test_every_fact_of_a_server_has_a_source(catalog: Catalog) -> None:
    """Each setting and each term of a capacity model says where it is written."""
    for name in catalog.names:
        for service in catalog.topology(name).services:
            terms = [term for variant in service.server.capacity for term in (*variant.handler, *variant.waiting)]
            sources = [setting.source for setting in service.server.settings.values()] + [term.source for term in terms]
            assert sources
            assert all(sources), service.server.server
