"""The pictures of docs/picking-a-server.md: what becomes of too many requests, and what the campaign measured."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from topolab.excess import Fate, excess
from topolab.facts import Facts
from topolab.handbook.chart import BLUE, LIGHT, Cell, Column, Part, svg
from topolab.handbook.guide import MANY, candidates
from topolab.handbook.underload import good_share
from topolab.loads import OverloadRun
from topolab.medians import Median, medians, of_repeats
from topolab.plan import resolve
from topolab.reports import words
from topolab.reports.quantities import quantity
from topolab.topology import Catalog

COLOURS: dict[Fate, str] = {
    "refused at once": "#9c1f37",
    "told late": "#d98a2b",
    "left outside": "#c3cad1",
    "waits": LIGHT,
    "runs as well": BLUE,
    "descriptors run out": "#6d4a8a",
}


def full(facts: Facts, catalog: Catalog) -> str:
    """Of many requests at once: how many are in a view, how many wait, and what the rest gets."""
    names = candidates(catalog)
    cells, told = [], []
    for name in names:
        found = excess(resolve(catalog, name, requests=MANY).on(facts.host.cores), MANY)
        inside = found.ledger.at("app", "handler").count
        rest = MANY - inside - found.waiting
        said = found.fate if rest else f"all {'wait' if found.waiting else 'run'}"
        counts = (("in a view", inside, BLUE), ("waiting", found.waiting, LIGHT), (said, rest, COLOURS[found.fate]))
        parts = tuple(Part(count / MANY, colour, f"{words.number(count)} {what}") for what, count, colour in counts)
        rest_text = f"{words.number(rest)} {said}" if rest else said
        cells.append(Cell(parts, rest_text))
        told.append(f"{name}: {words.number(inside)} in a view, {words.number(found.waiting)} waiting, {rest_text}.")
    title = f"{words.number(MANY)} requests at once: who is served, who waits, and what the rest gets"
    key = (
        "Dark blue: in a view. Light blue: waiting. The rest: red refused at once, amber told late, grey left outside."
    )
    notes = (key, "By the model, at each topology's own settings; the same model is proved cell by cell (proof.md).")
    return svg(title, " ".join(told), names, [Column("", tuple(cells))], notes)


def measured(facts: Facts, _catalog: Catalog) -> str | None:
    """What the reference campaign saw: rates, CPU, memory, and good answers under overload. None without one."""
    found = {(f"{one.experiment}: {one.figure}", one.topology): one for one in medians(facts.campaign.others)}
    names = sorted({name for _figure, name in found})
    if not names:
        return None
    columns = [
        Column(title, _bars([found.get((figure, name)) for name in names]))
        for figure, title in (
            ("throughput: requests/s, greeting", "greetings/s"),
            ("throughput: requests/s, io", "20 ms of waiting, /s"),
            ("throughput: requests/s, cpu", "5 ms of CPU, /s"),
            ("memory: memory at rest", "memory at rest"),
        )
    ]
    columns.append(Column("good answers at 3 x", tuple(_good(facts, name) for name in names)))
    told = [f"{name}: {', '.join(_said(column, at) for column in columns)}." for at, name in enumerate(names)]
    run = facts.campaign.others[0]
    notes = (
        f"{words.machine(run.host)}.",
        "Medians. Good answers at 3 x: of the best that came out, at three times the ceiling. Red: SUSPECT.",
    )
    return svg("What each took and gave under load, at its own settings", " ".join(told), names, columns, notes)


def _bars(figures: list[Median | None]) -> tuple[Cell | None, ...]:
    most = max((one.interval.median for one in figures if one), default=1.0) or 1.0
    return tuple(
        Cell(
            (Part(one.interval.median / most, BLUE, one.figure),),
            quantity(one.interval.median, one.unit).removesuffix("/s"),
            doubted=one.verdict == "SUSPECT",
        )
        if one
        else None
        for one in figures
    )


def _good(facts: Facts, name: str) -> Cell | None:
    """As a share of its best step."""
    runs = facts.under_load(OverloadRun, name)
    if not runs:
        return None
    share = median(map(good_share, runs))
    doubted = of_repeats(run.steps[-1].lap.verdict for run in runs) == "SUSPECT"
    return Cell((Part(share, BLUE, "good answers"),), f"{share:.0%}", doubted=doubted)


def _said(column: Column, at: int) -> str:
    cell = column.cells[at]
    return f"{column.title} {cell.text if cell else 'not measured'}"


MADE: dict[str, Callable[[Facts, Catalog], str | None]] = {"full": full, "measured": measured}
