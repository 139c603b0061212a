"""What the README shows is what the stored runs say."""

from __future__ import annotations

import re
from pathlib import Path

from topolab import paths, store
from topolab.cli.measuring import PROOF
from topolab.comparison import Comparison
from topolab.reports import markdown, picture
from topolab.topology import Catalog

README = (paths.HOME / "README.md").read_text()
RESULTS = paths.HOME / "docs" / "results"


def reference() -> Comparison:
    return store.load(sorted(RESULTS.glob("*.json")))


def test_the_table_is_made_from_the_stored_runs() -> None:
    """The README's table is the Markdown table of docs/results, and every run in it is VALID."""
    assert markdown.insert(README, reference()) == README
    assert {run.verdict for run in reference().runs} == {"VALID"}


def test_the_picture_is_made_from_the_stored_runs() -> None:
    """The README's picture is the one of docs/results."""
    assert (RESULTS / "report.svg").read_text() == picture.svg(reference())


def test_the_proof_is_made_from_its_runs_and_holds() -> None:
    """docs/proof.md is the table of docs/proof.json: all topologies, 120 cells or more, each as predicted."""
    proof = store.load([paths.HOME / "docs/proof.json"])
    assert (paths.HOME / "docs/proof.md").read_text() == PROOF.format(table=markdown.proof(proof))
    assert {run.topology for run in proof.runs} == set(Catalog().names)
    assert len(proof.runs) + len(proof.not_run) >= 120
    assert {run.verdict for run in proof.runs} == {"VALID"}
    assert not any(missing.failed for missing in proof.not_run)


def test_every_link_in_the_documents_leads_somewhere() -> None:
    """Each relative link in README, CONTRIBUTING and docs/ names a file that is there."""
    for document in (paths.HOME / "README.md", paths.HOME / "CONTRIBUTING.md", *(paths.HOME / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if "://" not in target:
                assert (document.parent / Path(target)).exists(), (document.name, target)


def test_every_make_target_of_the_readme_exists() -> None:
    """Each `make X` in the README is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (paths.HOME / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b", README)) <= targets | {"it"}
