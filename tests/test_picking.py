"""Picking: what holds a need, at which settings, with what evidence; and what is ruled out, and why."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests import loaded
from topolab.choices import Choice, Fail, Need, Picked
from topolab.cli import cli
from topolab.comparison import Comparison
from topolab.errors import LabError
from topolab.excess import excess
from topolab.experiments.capacity import capacity
from topolab.experiments.fit import Target, holds
from topolab.facts import Facts
from topolab.model import predict
from topolab.picking import BOUNDLESS, MB, STEP, _rank, pick
from topolab.plan import resolve
from topolab.results import Run
from topolab.runtimes.process import ProcessRuntime
from topolab.topology import Catalog

NEED = Need(500, io_ms=200, cpu_ms=5, cpus=2)


@pytest.fixture(scope="module")
def stored() -> Facts:
    """What is stored, without a campaign."""
    return replace(Facts.stored(), campaign=Comparison(()))


@pytest.fixture(scope="module")
def facts(stored: Facts, catalog: Catalog) -> Facts:
    """With a campaign in which sync workers take 40 MB each, and a greeting costs uWSGI a tenth of gunicorn's CPU."""
    runs: tuple[Run, ...] = (
        loaded.memory("gunicorn-sync", 40 * MB),
        loaded.memory("uwsgi-threads", 30 * MB, repeat=1),
        loaded.memory("uwsgi-threads", 50 * MB, repeat=2),
        loaded.memory("uwsgi-threads", 40 * MB, repeat=3),
        loaded.throughput("gunicorn-sync", 1000.0),
        loaded.throughput("uwsgi-threads", 10_000.0),
        loaded.overload("uwsgi-threads", 300.0, recovery_s=1.5),
    )
    planned = tuple(replace(run, plan=resolve(catalog, run.topology).environment()) for run in runs)
    return replace(stored, campaign=Comparison((), others=planned))


def found(catalog: Catalog, facts: Facts, need: Need) -> Picked:
    return pick(catalog, facts, need)


def the(name: str, picked: Picked) -> Choice:
    return next(choice for choice in picked.choices if choice.plan.name == name)


def why_not(name: str, picked: Picked) -> str:
    return next(one.because for one in picked.ruled_out if one.topology == name)


def test_every_choice_holds_what_is_wanted_and_every_topology_is_weighed(catalog: Catalog, facts: Facts) -> None:
    """Each choice's settings hold the need by the model; all others are ruled out with a reason."""
    picked = found(catalog, facts, NEED)
    names = {choice.plan.name for choice in picked.choices} | {one.topology for one in picked.ruled_out}
    assert names == set(catalog.names)
    assert all(holds(choice.plan, NEED.target) for choice in picked.choices)
    assert all(one.because for one in picked.ruled_out)


def test_what_its_makers_advise_against_is_ruled_out_in_their_words(catalog: Catalog, facts: Facts) -> None:
    """Flask's development server holds anything, and is no choice."""
    assert "for development only" in why_not("flask-threaded", found(catalog, facts, NEED))


def test_what_can_not_hold_it_says_which_line_stands(catalog: Catalog, facts: Facts) -> None:
    """hypercorn's pool is Python's own choice."""
    assert why_not("hypercorn", found(catalog, facts, NEED)) == (
        "At most 12 in handlers, by cpus, which is no setting and no limit."
    )


def test_the_rate_is_bound_by_slots_or_by_the_cpus_that_can_be_used(catalog: Catalog, facts: Facts) -> None:
    """500 slots of 205 ms would do 2,400/s; two CPUs do as many as 5 ms and the server's own 0.1 ms leave."""
    uwsgi = the("uwsgi-threads", found(catalog, facts, NEED))
    assert (uwsgi.bound_by, uwsgi.busy_cpus) == ("CPUs", 2)
    assert uwsgi.rate == pytest.approx(2 / (0.005 + 0.0001))
    waiting = the("uwsgi-threads", found(catalog, facts, replace(NEED, cpu_ms=0)))
    assert waiting.bound_by == "slots"
    assert waiting.rate == pytest.approx(500 / (0.2 + waiting.costs.own_s if waiting.costs.own_s else 0.2))
    one_process = the("waitress", found(catalog, facts, NEED))
    assert one_process.busy_cpus == 1


def test_a_rate_that_can_not_come_out_rules_a_topology_out(catalog: Catalog, facts: Facts) -> None:
    """One process has one CPU's worth of Python: 300/s of 5 ms are too many for it."""
    picked = found(catalog, facts, replace(NEED, rate=300))
    assert why_not("waitress", picked) == "At most 200 requests/s, by its CPUs; 300 are wanted."
    assert the("uwsgi-threads", picked).rate > 300


def test_memory_is_of_processes_and_of_requests_in_flight(catalog: Catalog, facts: Facts) -> None:
    """Medians of the repeats, times what the settings start; sync workers are one for each request."""
    uwsgi = the("uwsgi-threads", found(catalog, facts, NEED))
    assert uwsgi.costs.worker_bytes == 40 * MB
    assert uwsgi.memory_bytes == uwsgi.plan.processes() * 40 * MB + 500 * 250_000
    picked = found(catalog, facts, replace(NEED, memory_mb=512))
    assert why_not("gunicorn-sync", picked) == ("Needs about 20,125 MB with --set app.workers=500, and 512 are there.")
    assert the("uwsgi-threads", picked).memory_bytes


def test_what_a_request_takes_is_the_dearest_of_its_kind_where_too_few_were_seen(
    catalog: Catalog, facts: Facts
) -> None:
    """Four in flight say little: another server's threads took more, so that is what is counted with, and said."""
    dear = loaded.memory("gunicorn-gthread", 30 * MB)
    dear = replace(dear, per_request_bytes=400_000, plan=resolve(catalog, "gunicorn-gthread").environment())
    more = replace(facts, campaign=Comparison((), others=(*facts.campaign.others, dear)))
    costs = the("uwsgi-threads", found(catalog, more, NEED)).costs
    assert (costs.topology, costs.request_bytes, costs.request_of) == ("uwsgi-threads", 400_000, "gunicorn-gthread")
    assert the("gunicorn-gevent", found(catalog, more, NEED)).costs.request_of == ""


def test_what_was_not_measured_is_taken_from_its_kin_and_said(catalog: Catalog, facts: Facts, stored: Facts) -> None:
    """gunicorn's tornado workers were not measured, its sync workers were; without a campaign nothing is known."""
    assert the("gunicorn-tornado", found(catalog, facts, NEED)).costs.topology == "gunicorn-sync"
    nothing = the("gunicorn-tornado", found(catalog, stored, NEED))
    assert (nothing.memory_bytes, nothing.costs.own_cpu_s) == (None, None)


def test_to_fail_fast_means_that_the_excess_has_an_answer_at_once(catalog: Catalog, facts: Facts) -> None:
    """Every choice turns the excess away with an error or a reset, after no more than a few hundred that wait."""
    need = replace(NEED, fail="fast", queue=50)
    picked = found(catalog, facts, need)
    assert {"uvicorn-a2wsgi", "nginx-uwsgi", "nginx-gunicorn-sync"} <= {one.plan.name for one in picked.choices}
    for choice in picked.choices:
        ledger = predict(choice.plan.asking(5000), 5000).ledger
        assert ledger.at("client", "unanswered").count == 0, choice.plan.name
        assert sum(ledger.at("client", place).count for place in ("error", "reset", "refused")) > 4000
        assert choice.beyond.waiting <= 200
        assert holds(choice.plan, need.target)
    assert "connect that hangs" in why_not("gunicorn-gthread", picked)
    assert "when a time-out has passed" in why_not("uwsgi-http", picked)


@pytest.mark.parametrize("fail", ["queue", None])
def test_to_queue_means_that_so_many_wait_and_nobody_is_turned_away(
    catalog: Catalog, facts: Facts, fail: Fail | None
) -> None:
    """Settings are raised until all that are to wait find room, also where nothing is said of the excess beyond."""
    need = replace(NEED, fail=fail, queue=2000)
    choices = found(catalog, facts, need).choices
    assert choices
    for choice in choices:
        ledger = predict(choice.plan.asking(2500), 2500).ledger
        assert sum(place.count for place in ledger if place.service == "client") == 0, choice.plan.name
        assert ledger.at("front", "connecting").count == 0, choice.plan.name


@pytest.mark.parametrize(
    ("name", "sets", "fate"),
    [
        ("gunicorn-sync", [], "left outside"),
        ("uvicorn-a2wsgi", [], "waits"),
        ("uvicorn-a2wsgi", ["limit_concurrency=50"], "refused at once"),
        ("nginx-gunicorn-sync", [], "refused at once"),
        ("nginx-gunicorn-sync", ["listen=tcp", "front.worker_connections=20000"], "told late"),
        ("uwsgi-http", [], "told late"),
        ("gevent-pywsgi", [], "runs as well"),
        ("gevent-pywsgi", ["nofile=512"], "descriptors run out"),
    ],
)
def test_the_fate_of_the_excess_is_told_from_where_it_stands(
    catalog: Catalog, name: str, sets: list[str], fate: str
) -> None:
    """Each of the ways in which a server can be full."""
    assert excess(resolve(catalog, name, sets=sets), 5000).fate == fate


def test_what_is_sure_and_bounded_comes_before_what_is_not(catalog: Catalog, facts: Facts) -> None:
    """A boundless server, and one where chance decides, stand behind those that hold it for sure."""
    names = [choice.plan.name for choice in found(catalog, facts, replace(NEED, cpu_ms=0)).choices]
    assert names.index("uwsgi-threads") < names.index("gevent-pywsgi")
    picked = found(catalog, facts, replace(NEED, fail="fast", queue=50))
    names = [choice.plan.name for choice in picked.choices]
    assert the("uvicorn-a2wsgi", picked).because
    assert names.index("nginx-uwsgi") < names.index("uvicorn-a2wsgi")


def test_what_was_not_measured_comes_behind_what_is_known_to_fit(catalog: Catalog, facts: Facts) -> None:
    """Where memory is asked for, a topology of which nobody knows it is no match; where it is not, it may be."""
    need = replace(NEED, memory_mb=500)
    one = next(choice for choice in found(catalog, facts, need).choices if choice.memory_bytes)
    unknown = replace(one, memory_bytes=None)
    boundless = replace(one, beyond=replace(one.beyond, fate=BOUNDLESS[0]))
    assert _rank(boundless, need) < _rank(unknown, need)
    assert _rank(unknown, NEED) < _rank(boundless, NEED)


def test_rates_are_ranked_in_steps_of_ten_percent(catalog: Catalog, facts: Facts) -> None:
    """Of two topologies alike but for the rate: within a step less memory is first, a step apart more requests/s."""
    choices = found(catalog, facts, NEED).choices
    one = next(choice for choice in choices if choice.memory_bytes)

    def placed(cpu_s: float, *, memory: int = 0) -> tuple[float, ...]:
        assert one.memory_bytes
        return _rank(replace(one, cpu_s=cpu_s, slots=10**6, memory_bytes=one.memory_bytes + memory), NEED)

    edge = one.busy_cpus / STEP ** (40 + 0.5)  # between two steps: 1 % to both sides of it are 2 % apart
    assert placed(edge * 0.97) == placed(edge * 0.93)
    assert placed(edge * 0.97) < placed(edge * 0.93, memory=10**9)
    assert placed(edge * 0.99, memory=10**9) < placed(edge * 1.01)


def test_the_ranking_is_told_as_it_is() -> None:
    """In steps; not that what is less than 10 % apart is no difference."""
    assert "requests/s and memory, each in steps of 10 %" in " ".join(typed("--in-flight", "20").output.split())


# The command


def typed(*words: str) -> Result:
    return CliRunner().invoke(cli, ["pick", *words, "--cpus", "2"])


def test_the_command_tells_the_evidence_what_is_ruled_out_and_what_to_type() -> None:
    """Settings, what is held, the rate, memory, the fate of the excess, pages; and two commands."""
    told = typed("--in-flight", "500", "--io-ms", "200", "--cpu-ms", "5", "--fail", "fast").output
    assert "Wanted: 500 requests in handlers, each with 200 ms of waiting and 5 ms of CPU" in told
    for line in (
        "settings   --set", "holds      500 in handlers", "requests/s", "memory", "excess     is answered",
        "more       docs/servers/", "Ruled out:", "Bring it up:  topolab up", "Prove it:     topolab capacity",
    ):  # fmt: skip
        assert line in told, line


def test_as_json_it_is_whole() -> None:
    """Every choice and every topology that is ruled out, not only the first."""
    document = json.loads(typed("--in-flight", "50", "--json").output)
    assert len(document["choices"]) + len(document["ruled_out"]) == len(Catalog().names)
    assert document["need"]["cpus"] == 2
    assert {"topology", "settings", "memory_bytes", "excess", "up", "prove"} <= document["choices"][0].keys()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "Say how many: --in-flight 500"),
        (["--rate", "10"], "Say how many"),
        (["--in-flight", "2", "--rate", "100", "--io-ms", "200"], "are 20 at the same time. Write --in-flight 20"),
        (
            ["--rate", "1000000", "--io-ms", "300"],
            "--rate 1,000,000: requests that take 300 ms each are 300,000 at the same time, and pick weighs 50,000 at "
            "most. Write --rate 166666 or less",
        ),
        (["--rate", "60000", "--io-ms", "1000", "--in-flight", "2"], "Write --rate 50000 or less"),
        (["--in-flight", "5", "--limits", "tuned-up"], 'there is no limit set "tuned-up". Did you mean "tuned"?'),
    ],
)
def test_what_can_not_be_answered_says_what_to_type(words: list[str], error: str) -> None:
    """A need that says too little, or contradicts itself."""
    with pytest.raises(LabError, match=error):
        cli.main(["pick", *words], standalone_mode=False)


@pytest.mark.parametrize(
    "words",
    [
        ["--in-flight", "0"], ["--in-flight", "x"], ["--in-flight", "5", "--fail", "slow"],
        ["--in-flight", "5", "--io-ms", "nan"], ["--in-flight", "5", "--cpu-ms", "nan"], ["--rate", "nan"],
    ],
)  # fmt: skip
def test_bad_values_are_refused_by_name(words: list[str]) -> None:
    """Exit code 2, and the option's name."""
    result = typed(*words)
    assert result.exit_code == 2
    assert "Invalid value for '--" in result.output


@pytest.mark.parametrize(
    ("words", "in_flight"),
    [
        (["--rate", "100", "--io-ms", "200"], 20),
        (["--rate", "100", "--io-ms", "70"], 7),  # 100 * 0.07 is 7.000000000000001
        (["--rate", "100", "--io-ms", "70.1"], 8),
        (["--rate", "0.1", "--cpu-ms", "0.001"], 1),
        (["--rate", "50000", "--io-ms", "1000"], 50_000),
    ],
)
def test_the_rate_and_the_times_give_the_number_in_flight(words: list[str], in_flight: int) -> None:
    """Little's law: 100 requests/s that stay 200 ms are 20 at the same time; whole requests, and no float's noise."""
    assert json.loads(typed(*words, "--json").output)["need"]["in_flight"] == in_flight


def test_a_choice_keeps_its_word_when_it_is_measured(
    catalog: Catalog, facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings of a choice, brought up: as many in handlers as were wanted, and the excess refused at once."""
    monkeypatch.setattr("topolab.paths.STATE", tmp_path)
    need = Need(60, io_ms=100, fail="fast", queue=16)
    choice = the("uvicorn-a2wsgi", found(catalog, facts, need))
    runtime = ProcessRuntime()
    plan = runtime.check(choice.plan.asking(200))
    assert not runtime.prepare([plan], lambda _: None)
    run = capacity(runtime, plan, lambda _: None)
    assert run.verdict == "VALID", run.findings
    assert run.measured.ledger.at("app", "handler").count == need.in_flight
    assert run.measured.ledger.at("app", "waiting").count == need.queue == choice.beyond.waiting
    assert run.measured.ledger.at("client", "error").count == 200 - 60 - 16


def test_a_front_inside_the_apps_own_program_counts_as_a_server(catalog: Catalog, facts: Facts) -> None:
    """uWSGI alone comes before uWSGI behind its own router, which is one process more."""
    names = [choice.plan.name for choice in found(catalog, facts, NEED).choices]
    assert names.index("uwsgi-threads") < names.index("uwsgi-http")


def test_what_it_says_to_type_names_the_limits() -> None:
    """A choice that was solved under a set of limits is brought up and proved under it."""
    words = ("--in-flight", "4", "--limits", "tuned")
    first = json.loads(typed(*words, "--json").output)["choices"][0]
    assert first["limits_name"] == "tuned"
    for name in ("up", "prove"):
        assert first[name].partition(" --limits tuned")[1], first[name]
    told = typed(*words).output
    assert f"Bring it up:  {first['up']}\n" in told
    assert f"Prove it:     {first['prove']}\n" in told


def test_a_queue_that_is_told_as_wanted_is_held() -> None:
    """Whoever asks for 2,000 that wait gets no settings that leave any of them outside."""
    result = typed("--in-flight", "10", "--queue", "2000")
    assert "Wanted: 10 requests in handlers, 2,000 more that wait, on 2 CPUs." in result.output
    document = json.loads(typed("--in-flight", "10", "--queue", "2000", "--json").output)
    assert document["choices"]
    for choice in document["choices"]:
        assert not sum(place["count"] for place in choice["places"] if place["service"] == "client"), choice["topology"]


def test_nobody_has_to_wait_where_no_queue_is_asked_for() -> None:
    """Without --queue none is held; to fail fast it bounds who may wait, and asks for no room."""
    assert json.loads(typed("--in-flight", "10", "--json").output)["need"]["queue"] == 0
    assert Need(10).target == Target(10, 0)
    assert Need(10, queue=50, fail="fast").target == Target(10, 0)
    assert Need(10, queue=50).target == Need(10, queue=50, fail="queue").target == Target(10, 50)
