"""What changed between two campaigns: worse first, and what is not comparable last, with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from topolab.changes import Diff
from topolab.loads import Change, ChangeVerdict
from topolab.reports import blocks
from topolab.reports.blocks import Block, Sheet
from topolab.reports.quantities import factor, factors, quantity

COLUMNS = ("Topology", "Figure", "Before", "After", "Ratio", "its interval", "N", "Verdict")
RIGHT = frozenset(("Before", "After", "Ratio"))
CHANGED: tuple[ChangeVerdict, ...] = ("worse", "better")


def title(diff: Diff) -> str:
    """`2 worse, 1 better, 40 no difference, 3 not comparable`."""
    verdicts: tuple[ChangeVerdict, ...] = (*CHANGED, "no difference", "not comparable")
    counts = [(sum(change.verdict == verdict for change in diff.changes), verdict) for verdict in verdicts]
    said = [f"{len(diff.vanished)} vanished"] if diff.vanished else []
    return ", ".join([*said, *(f"{count} {verdict}" for count, verdict in counts if count)]) or "nothing to compare"


def sheet(diff: Diff, verdicts: Sequence[ChangeVerdict] = (*CHANGED, "no difference")) -> Sheet:
    """The figures with these verdicts, and all lines."""
    found = []
    for verdict in verdicts:
        by_experiment: dict[str, list[Change]] = {}
        for change in diff.changes:
            if change.verdict == verdict:
                by_experiment.setdefault(change.experiment, []).append(change)
        for experiment, changes in by_experiment.items():
            found.append(Block(f"{verdict}: {experiment}", tuple(map(_row, changes))))
    return Sheet(title(diff), COLUMNS, tuple(found), tuple(_lines(diff)), RIGHT)


def markdown(diff: Diff) -> str:
    """For a pull request: what changed in sight, the rest folded away."""
    head = blocks.markdown(sheet(diff, CHANGED))
    rest = sheet(diff, ("no difference",))
    if not rest.blocks:
        return head
    folded = blocks.markdown(Sheet("", rest.columns, rest.blocks, (), rest.right))
    figures = f"{sum(len(block.rows) for block in rest.blocks)} figures"
    return f"{head}\n<details><summary>No difference: {figures}</summary>\n\n{folded}\n</details>\n"


def _row(change: Change) -> tuple[str, ...]:
    ratio = change.ratio
    exact = ratio is not None and ratio.low == ratio.high
    repeats = (change.before.repeats, change.after.repeats)
    return (
        change.topology,
        change.figure,
        quantity(change.before.median, change.unit),
        quantity(change.after.median, change.unit),
        factor(ratio.median) if ratio else "",
        "exact" if exact else factors(ratio) if ratio else "",
        str(repeats[0]) if repeats[0] == repeats[1] else f"{repeats[0]}, {repeats[1]}",
        "SUSPECT" if change.suspect else "VALID",
    )


def _lines(diff: Diff) -> Iterator[str]:
    for gone in diff.vanished:
        figure = f"{gone.figure} of " if gone.figure else ""
        yield f"Vanished: {figure}{gone.experiment} on {gone.topology}, which was measured before: {gone.because}"
    for moved in diff.ledgers:
        yield f"The ledger of {moved.topology}: {' or '.join(moved.before)}; now {' or '.join(moved.after)}"
    reasons: dict[str, list[Change]] = {}
    for change in diff.changes:
        if change.verdict == "not comparable":
            reasons.setdefault(change.because, []).append(change)
    for because, found in reasons.items():
        yield f"Not comparable: {_named(found)}: {because}"
    for crossed in diff.across:
        yield f"Compared although they differ, as asked for: {crossed}"
    yield from diff.notes


def _named(changes: Sequence[Change]) -> str:
    """`latency and memory of waitress (9 figures)`."""
    experiments = " and ".join(dict.fromkeys(change.experiment for change in changes))
    topologies = list(dict.fromkeys(change.topology for change in changes))
    where = ", ".join(topologies) if len(topologies) <= 4 else f"{len(topologies)} topologies"
    return f"{experiments} of {where} ({len(changes)} figure{'s' if len(changes) > 1 else ''})"
