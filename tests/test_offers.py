"""Work and rates as they are typed."""

from __future__ import annotations

import importlib
import pkgutil

import click
import pytest

import topolab.cli
from topolab import offers
from topolab.cli import VERBS, cli
from topolab.cli.options import Number
from topolab.errors import LabError
from topolab.loads import Work
from topolab.offers import Rate


@pytest.mark.parametrize(
    ("text", "work"),
    [
        ("greeting", Work()),
        ("io", Work("io", io_ms=20)),
        ("io:2.5", Work("io", io_ms=2.5)),
        ("cpu:5", Work("cpu", cpu_ms=5)),
        ("mixed:20+5", Work("mixed", io_ms=20, cpu_ms=5)),
        ("json:1024", Work("json", size=1024)),
        ("large:1048576", Work("large", size=1 << 20)),
        ("front-static", Work("front-static", size=1 << 16)),
        ("path", Work("path", path="/")),
        ("path:/products/1:2?page=2&sort=-price%2Cname", Work("path", path="/products/1:2?page=2&sort=-price%2Cname")),
    ],
)
def test_work_is_read_and_written(text: str, work: Work) -> None:
    """Each kind has its numbers, or those that it has where nobody says; what is written is read again."""
    assert offers.work(text) == work
    assert offers.work(offers.typed(work)) == work


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sleep", '"sleep" is no work. There are greeting, io, cpu,'),
        ("greeting:5", '"greeting:5": greeting takes no number. Write greeting.'),
        ("mixed:20", '"mixed:20": mixed takes two numbers. Write mixed:20+2.'),
        ("io:20+5", '"io:20+5": io takes one number. Write io:20.'),
        ("io:soon", '"io:soon": "soon" is not milliseconds, 60,000 at most. Write io:20.'),
        ("io:0", '"io:0": "0" is not milliseconds'),
        ("io:nan", '"io:nan": "nan" is not milliseconds'),
        ("cpu:inf", '"cpu:inf": "inf" is not milliseconds'),
        ("cpu:10001", '"10001" is not milliseconds, 10,000 at most.'),
        ("large:1.5", '"1.5" is not a whole number of bytes, 16,777,216 at most. Write large:1048576.'),
        ("path:products", '"path:products": "products" is no path of a URL. Write it from its first slash, what is'),
        ("path:/a\r\nX-Evil:1", "is no path of a URL."),
        ("path:", '"path:": "" is no path of a URL.'),
        ("json:2000000", '"2000000" is not a whole number of bytes, 1,048,576 at most.'),
    ],
)
def test_what_is_no_work_is_refused(text: str, says: str) -> None:
    """The error says what, and what to write."""
    with pytest.raises(LabError) as refused:
        offers.work(text)
    assert says in str(refused.value)


def test_rates_are_read_and_written() -> None:
    """Per second, or times the ceiling, which is known to two digits."""
    assert offers.rate("200") == Rate(200)
    assert offers.rate("0.6x") == Rate(0.6, of_ceiling=True)
    assert [Rate(200).per_second(1000), Rate(0.6, of_ceiling=True).per_second(3123)] == [200, 1900]
    assert [str(Rate(200)), str(Rate(0.6, of_ceiling=True))] == ["200/s", "0.6 of the ceiling"]
    assert [Rate(200).typed, Rate(0.6, of_ceiling=True).typed] == ["200", "0.6x"]


@pytest.mark.parametrize("text", ["", "0", "fast", "-5", "2xx", "1e9", "x", "0x", "nan", "infx"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    """The error shows both forms."""
    with pytest.raises(LabError, match=r"is no rate. Write requests per second \(200\), or times the ceiling \(0.6x\)"):
        offers.rate(text)


def verbs() -> list[click.Command]:
    """All that can be typed."""
    context = click.Context(cli)
    return [verb for name in cli.list_commands(context) if (verb := cli.get_command(context, name))]


def test_each_verb_is_found_where_it_is() -> None:
    """The table from which they are imported one by one says what their modules say; no module is forgotten."""
    names = [module.name for module in pkgutil.iter_modules(topolab.cli.__path__)]
    modules = {name: importlib.import_module(f"topolab.cli.{name}") for name in names}
    found = {
        name: tuple(verb.name for verb in module.VERBS) for name, module in modules.items() if hasattr(module, "VERBS")
    }
    assert found == VERBS
    assert {verb.name for verb in verbs()} == {name for names in VERBS.values() for name in names}


def test_an_option_takes_numbers_only() -> None:
    """NaN lies in every range for click, and infinity in those without an end: no option of any verb takes them."""
    found = {
        (verb.name, option.name): option.type
        for verb in verbs()
        for option in verb.params
        if isinstance(option.type, click.types.FloatParamType)
    }
    assert {("diff", "smallest"), ("capacity", "hold_s"), ("latency", "seconds"), ("pick", "rate")} <= found.keys()
    for kind in (*found.values(), Number()):
        assert isinstance(kind, Number)
        for text in ("nan", "-nan", "inf", "-inf", "1e999"):
            with pytest.raises(click.BadParameter, match="is not in the range"):
                kind.convert(text, None, None)
