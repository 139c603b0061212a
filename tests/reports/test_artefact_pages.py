"""The pages of artefacts are what their runs say, and each of them is caught."""

from __future__ import annotations

from topolab import paths, store
from topolab.artefacts import ArtefactRun
from topolab.reports.artefacts import index, page

DOCS = paths.HOME / "docs"
MADE = store.load([DOCS / "artefacts.json"]).of(ArtefactRun)


def test_the_pages_are_made_from_the_stored_runs() -> None:
    """docs/artefacts.md and a page for each are what `topolab artefact --output docs` writes for artefacts.json."""
    assert (DOCS / "artefacts.md").read_text() == index(MADE)
    for made in MADE:
        assert (DOCS / f"artefacts/{made.artefact}.md").read_text() == page(made)
    assert {path.stem for path in (DOCS / "artefacts").glob("*.md")} == {made.artefact for made in MADE}


def test_each_artefact_was_made_again_and_caught() -> None:
    """All four, by a factor of 1.5 or more; the naive lap has the finding, and so the verdict SUSPECT."""
    assert [made.artefact for made in MADE] == ["keepalive", "pacing", "outside", "failures"]
    for made in MADE:
        assert made.verdict == "VALID"
        assert made.off_by >= 1.5
        assert made.naive.verdict == "SUSPECT"
        assert set(made.caught_by) <= {finding.code for finding in made.naive.findings}
        assert made.caught_by
