"""The picture, read as the XML that it is."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from topolab.comparison import Comparison
from topolab.reports import words
from topolab.reports.picture import Width, svg
from topolab.reports.sheet import extents
from topolab.results import Finding

SVG = "{http://www.w3.org/2000/svg}"


def texts(drawn: str) -> str:
    """The drawn lines of text, joined as if never wrapped."""
    return " ".join(element.text or "" for element in ElementTree.fromstring(drawn).iter(f"{SVG}text"))


@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_every_figure_is_written(comparison: Comparison, width: Width) -> None:
    """Names, limits, counts, bounds, what is missing and what was not run all stand in the picture as text."""
    drawn = texts(svg(comparison, width))
    assert "Where 1,000 requests were" in drawn
    for run in comparison.runs:
        assert run.topology in drawn
        assert words.bound_phrase(run) in drawn
        assert words.phrase(run.measured.ledger, with_service=words.fronted(run)) in drawn
    assert "1 handler · 129 accept queue · 870 unanswered" in drawn
    assert "600-1,000 handler · 0-400 waiting" in drawn
    assert "2 unanswered · 3 not found" in drawn
    assert "SUSPECT" in drawn
    assert "Not run: nginx is not installed on this machine." in drawn
    assert words.machine(comparison.runs[0].host) in drawn


def test_the_same_comparison_gives_the_same_picture(comparison: Comparison) -> None:
    """Nothing of the time or the process gets into the file: another interpreter draws it byte for byte."""
    small = Comparison(comparison.runs[3:4])
    code = f"from topolab.results import *; from topolab.comparison import *; from topolab.ledger import *\n\
from topolab.reports.picture import svg; import sys; sys.stdout.buffer.write(svg({small!r}).encode())"
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.decode()
    assert svg(small) == again


def test_it_refers_to_nothing_outside(comparison: Comparison) -> None:
    """The only addresses are the names of XML's own vocabularies; every reference is to an id in the file."""
    drawn = svg(comparison)
    assert set(re.findall(r"https?://[^\"]+", drawn)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    ids = re.findall(r' id="([^"]+)"', drawn)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", drawn)) <= set(ids)
    assert "<style" not in drawn


def test_two_widths_can_share_a_page(comparison: Comparison) -> None:
    """The wide and the narrow picture have no id in common, so neither borrows a hatch that is not displayed."""
    ids = [set(re.findall(r' id="([^"]+)"', svg(comparison, width))) for width in ("wide", "narrow")]
    assert not ids[0] & ids[1]


def test_it_is_told_to_those_who_cannot_see_it(comparison: Comparison) -> None:
    """The picture has the role of an image, a title, and a description with every count."""
    root = ElementTree.fromstring(svg(comparison))
    assert root.get("role") == "img"
    assert [child.tag for child in root[:2]] == [f"{SVG}title", f"{SVG}desc"]
    assert root.get("aria-labelledby") == f"{root[0].get('id')} {root[1].get('id')}"
    told = root[1].text or ""
    assert "uwsgi-threads, VALID: measured 10 handler · 101 accept queue · 889 unanswered;" in told
    assert "uwsgi-threads listen=1024, SUSPECT:" in told
    assert "nginx-uwsgi: not run, nginx is not installed" in told


def test_each_place_is_named_where_it_is_drawn(comparison: Comparison) -> None:
    """Every segment carries its count and place, which a browser shows when pointed at."""
    root = ElementTree.fromstring(svg(Comparison(comparison.runs[3:4])))
    named = [element.get("data-place") for element in root.iter() if element.get("data-place")]
    places = ["10 handler", "101 accept queue", "889 unanswered"]
    assert named == [f"measured: {place}" for place in places] + [f"predicted: {place}" for place in places]


def test_hostile_text_stays_text(comparison: Comparison) -> None:
    """Tags, dollar signs, control codes and broken Unicode in a run leave well-formed XML."""
    nasty = "<script>alert(1)</script> ]]> $x^2$ \x00\x1b[2J\udc80\u202e"
    gap = replace(comparison.not_run[0], reason=nasty, topology=nasty)
    run = replace(comparison.runs[9], topology=nasty, findings=(Finding("unbalanced", nasty),))
    drawn = svg(Comparison((run,), (gap,)))
    drawn.encode()
    assert "$x^2$" in texts(drawn)
    assert "<script" not in drawn


def test_one_of_a_thousand_is_seen() -> None:
    """A small count gets the least width that can be seen, at the cost of the large ones; nobody gets none."""
    assert extents([1, 129, 870], 684, 5) == pytest.approx([5, 87.679, 591.321], abs=0.001)
    assert extents([1000, 0], 684, 5) == [684, 0]
    assert extents([1, 1, 9998], 100, 5) == [5, 5, 90]
    assert sum(extents([3, 40, 957, 2000, 7000], 300, 12)) == pytest.approx(300)


def test_importing_the_reports_does_not_import_matplotlib() -> None:
    """Only those who draw pay the second that matplotlib takes to import."""
    code = "import sys, topolab.reports.page, topolab.reports.terminal; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"
