"""The picture "where N requests were": per topology what was measured, and directly under it what was predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from topolab.comparison import Comparison
from topolab.reports import words
from topolab.reports.looks import ALARM, LOOKS, MUTED
from topolab.reports.sheet import Segment, Sheet
from topolab.reports.svg import drawing
from topolab.results import CapacityRun, NotRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Width = Literal["wide", "narrow"]

_SIZES: dict[Width, tuple[int, int]] = {"wide": (860, 14), "narrow": (324, 2)}  # pixels: width between margins, margin
_NAMES = 196  # pixels, wide only: the column of the topologies' names
_MEASURED, _PREDICTED = 17, 7  # pixels: heights of the two bars


def svg(comparison: Comparison, width: Width = "wide") -> str:
    """The picture as one SVG element, white behind, text as text. The same comparison gives the same text.

    `narrow` is made to be read at a phone's width: names stand above their bars.
    """

    def draw(sheet: Sheet) -> None:
        sheet.write(0, words.title(comparison), size=19, bold=True, advance=8)
        _head(sheet, comparison)
        for entry in entries(comparison):
            _entry(sheet, entry, comparison, left=_NAMES if width == "wide" else 0)
        _caption(sheet, comparison)

    return _drawn(draw, width, prefix=f"{width}-", title=words.title(comparison), told=description(comparison))


def key(comparison: Comparison, width: Width) -> str:
    """What the colours of the bars mean, for a page that has the bars apart (`strip`)."""
    told = ", ".join(words.place_name(spot, with_service=True) for spot in words.spots(comparison))
    return _drawn(
        lambda sheet: _head(sheet, comparison), width, prefix=f"{width}-key-", title="Key", told=told, above=0
    )


def strip(entry: CapacityRun | NotRun, comparison: Comparison, width: Width, prefix: str) -> str:
    """One entry of the picture by itself; `prefix` keeps its ids apart from those of the others."""

    def draw(sheet: Sheet) -> None:
        _entry(sheet, entry, comparison, left=_NAMES if width == "wide" else 0)

    label = words.label(entry, comparison)
    return _drawn(draw, width, prefix=f"{width}-{prefix}-", title=label, told=_told(entry, comparison), above=0)


def entries(comparison: Comparison) -> list[CapacityRun | NotRun]:
    """What gets a bar, or the reason why it has none."""
    return [*(run for run, _times in comparison.ledgers), *comparison.missing("capacity")]


def description(comparison: Comparison) -> str:
    """The picture in words, for those who can't see it."""
    return " ".join(_told(entry, comparison) for entry in entries(comparison))


def _drawn(
    draw: Callable[[Sheet], None], width: Width, *, prefix: str, title: str, told: str, above: int | None = None
) -> str:
    def paint(figure: Figure) -> dict[str, str]:
        sheet = Sheet(figure, *_SIZES[width], above=above)
        draw(sheet)
        sheet.finish()
        return sheet.names

    return drawing(paint, prefix=prefix, title=words.one_line(title), description=words.one_line(told))


def _told(entry: CapacityRun | NotRun, comparison: Comparison) -> str:
    label = words.label(entry, comparison)
    if isinstance(entry, NotRun):
        return f"{label}: {words.absence(entry)}, {entry.reason}"
    measured, predicted = _phrase(entry, "measured"), _phrase(entry, "predicted")
    return f"{label}, {entry.verdict}: measured {measured}; predicted {predicted}."


def _head(sheet: Sheet, comparison: Comparison) -> None:
    key = "Upper bar: measured. Thin bar under it: predicted from the settings."
    if any(place.at_most is not None for run in comparison.runs for place in run.predicted.places):
        key += " Bracket: bounds of a prediction."
    sheet.write(0, key, size=12, colour=MUTED, advance=10)
    with_service = any(words.fronted(run) for run in comparison.runs)
    bare = not any(service == "front" for service, _ in words.spots(comparison))
    sheet.legend(
        [
            (LOOKS[spot], words.place_name(spot, with_service=with_service and not bare))
            for spot in words.spots(comparison)
        ]
    )


def _entry(sheet: Sheet, entry: CapacityRun | NotRun, comparison: Comparison, *, left: int) -> None:
    """One topology: its name, at the left or (left=0) above, and its bars."""
    top = sheet.y
    settings = words.changed(entry) if isinstance(entry, CapacityRun) else ""
    sheet.write(0, words.name(entry, comparison), size=13, bold=True, advance=3, width=left)
    if isinstance(entry, CapacityRun) and entry.verdict == "SUSPECT":
        sheet.write(0, "SUSPECT", size=11.5, bold=True, colour=ALARM, advance=3, width=left)
    about = [settings, words.bound_phrase(entry) if isinstance(entry, CapacityRun) else ""]
    for line in filter(None, about if left else [", ".join(filter(None, about))]):
        sheet.write(0, line, size=11.5, colour=MUTED, advance=3, width=left)
    bottom = sheet.y
    if left:
        sheet.y = top
    if isinstance(entry, CapacityRun):
        _bars(sheet, entry, left)
    else:
        sheet.write(left, f"{words.absence(entry).capitalize()}: {entry.reason}", size=12, colour=MUTED, advance=0)
    sheet.y = max(bottom, sheet.y) + 18


def _bars(sheet: Sheet, run: CapacityRun, left: int) -> None:
    total = max(run.asked.requests, run.measured.ledger.total, run.predicted.ledger.total)
    rows = words.rows(run)
    measured = [_segment(run, row, row.measured, "measured") for row in rows if row.measured]
    missing = total - run.measured.ledger.total
    sheet.bar(left, measured, missing, height=_MEASURED, alarm=run.verdict == "SUSPECT")
    predicted = [_segment(run, row, row.predicted.count, "predicted") for row in rows if row.predicted.count]
    sheet.bar(left, predicted, total - run.predicted.ledger.total, height=_PREDICTED)
    for row in rows[:-1]:  # the last place holds what the others leave
        before = sum(other.predicted.count for other in rows[: rows.index(row)])
        low, high = row.predicted.at_least, row.predicted.at_most
        if low is not None and high is not None and low < high:
            sheet.bracket(left, (before + low) / total, (before + high) / total)
    sheet.y += 5
    told = _phrase(run, "measured") + (f" · {words.number(missing)} not found" if missing else "")
    if told == _phrase(run, "predicted"):
        sheet.write(left, f"{told} (as predicted)", size=12, advance=2)
    else:
        sheet.write(left, f"measured {told}", size=12, advance=3)
        sheet.write(left, f"predicted {_phrase(run, 'predicted')}", size=12, colour=MUTED, advance=2)


def _segment(run: CapacityRun, row: words.Row, count: int, what: Literal["measured", "predicted"]) -> Segment:
    return Segment(count, LOOKS[row.spot], f"{what}: {words.number(count)} {row.name}")


def _phrase(run: CapacityRun, what: Literal["measured", "predicted"]) -> str:
    ledger = run.measured.ledger if what == "measured" else run.predicted.ledger
    return words.phrase(ledger, with_service=words.fronted(run))


def _caption(sheet: Sheet, comparison: Comparison) -> None:
    notes: Sequence[str] = (
        f"{words.machines(comparison)}." if comparison.runs else "",
        "Places with few requests are drawn wide enough to be seen; the figures are exact." if comparison.runs else "",
    )
    for note in filter(None, notes):
        sheet.write(0, note, size=11, colour=MUTED, advance=4)
