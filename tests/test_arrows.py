"""The arrows of the design: who may import whom inside the package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "topolab"

LEAVES = {"errors", "ledger", "paths"}  # import nothing but one another
DATA = LEAVES | {"results"}
KNOWLEDGE = DATA | {"expressions", "settings", "yamlfile", "server", "limits", "topology", "plan", "ownapp"}

MAY_IMPORT = {
    "errors": set(),
    "paths": set(),
    "ledger": set(),
    "results": {"ledger"},
    "ownapp": {"errors"},
    "expressions": {"errors"},
    "settings": {"errors", "results"},
    "yamlfile": {"errors", "paths", "settings"},
    "behaviours": {"ledger", "results"},
    "claims": {"results"},
    "artefacts": {"ledger", "results", "loads"},
    "loads": {"results"},
    "server": {"errors", "expressions", "ledger", "paths", "results", "settings"},
    "limits": {"errors", "paths", "results", "settings", "yamlfile"},
    "topology": KNOWLEDGE - {"plan"},
    "plan": KNOWLEDGE | {"loads"},
    "pins": {"loads"},
    "offers": {"errors", "loads"},
    "filling": {"ledger"},
    "rolebook": set(),
    "facts": DATA | {"comparison", "loads", "store"},
    "excess": KNOWLEDGE | {"model"},
    "choices": KNOWLEDGE | {"excess", "experiments", "facts"},
    "picking": KNOWLEDGE | {"choices", "excess", "experiments", "facts", "model"},
    "handbook": KNOWLEDGE
    | {"behaviours", "choices", "comparison", "excess", "facts", "loads", "medians", "model", "picking", "reports"}
    | {"rolebook"},
    "listeners": KNOWLEDGE,
    "model": KNOWLEDGE | {"filling"},
    "host": DATA,
    "comparison": {"results", "claims", "loads"},
    "store": DATA | {"artefacts", "behaviours", "claims", "comparison", "loads"},
    "packages": DATA | {"server"},
    "findings": {"ledger", "results", "errors"},
    "doubts": {"results", "loads"},
    "samples": {"errors", "results", "loads"},
    "statistics": {"errors", "results", "loads"},
    "figures": {"results", "behaviours", "loads"},
    "medians": {"results", "loads", "doubts", "figures", "statistics"},
    "circumstances": {"results", "loads"},
    "changes": {"results", "circumstances", "comparison", "figures", "loads", "medians", "statistics", "vanished"},
    "vanished": {"results", "comparison", "figures", "loads", "medians"},
    "campaigns": DATA | {"loads", "store"},
    "export": DATA | {"figures", "loads", "samples", "store"},
    "instrument": {"errors", "ledger", "results", "behaviours", "loads"},
    "reports": DATA
    | {"artefacts", "behaviours", "claims", "comparison", "loads", "figures", "medians", "changes", "statistics"},
    "runtimes": KNOWLEDGE | {"host", "listeners", "packages", "store"},
    "experiments": KNOWLEDGE
    | {
        "artefacts",
        "behaviours",
        "claims",
        "figures",
        "loads",
        "model",
        "offers",
        "findings",
        "doubts",
        "samples",
        "statistics",
        "campaigns",
        "host",
        "pins",
    }
    | {"listeners", "runtimes", "store"},
    "show": KNOWLEDGE | {"model", "store", "runtimes"},
    "cli": {"*"},
    "__main__": {"cli"},
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The parts of the package that a module imports, its own left out; and the packages that it must not."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" if node.module == "topolab" else node.module for alias in node.names]
        for name in names:
            head, _, rest = name.partition(".")
            if head == "topolab":
                found.add(rest.split(".")[0])
            elif head == "app":
                found.add("the app")
    return found - {part(path)}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_where_an_arrow_points(path: Path) -> None:
    """No module of the lab imports against the arrows of the design, and none imports the app."""
    name = part(path)
    if name == "__init__":
        return
    allowed = MAY_IMPORT[name]
    if "*" not in allowed:
        assert imported(path) <= allowed
    assert "the app" not in imported(path)


def test_the_app_knows_nothing_of_the_lab() -> None:
    """No module of the app imports the lab."""
    for path in (PACKAGE.parent / "app").rglob("*.py"):
        assert "topolab" not in {name.split(".")[0] for name in _roots(path)}


def _roots(path: Path) -> set[str]:
    tree = ast.walk(ast.parse(path.read_text()))
    return {
        name
        for node in tree
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
