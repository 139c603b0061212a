"""The published JSON Schemas are the ones that the lab reads by."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from topolab import handbook, paths, show
from topolab.topology import Catalog

PUBLISHED = {
    "run": paths.HOME / "docs/run.schema.json",
    "campaign": paths.HOME / "docs/campaign.schema.json",
    "topology": paths.TOPOLOGIES / "topology.schema.json",
    "server": paths.TOPOLOGIES / "server.schema.json",
    "limits": paths.TOPOLOGIES / "limits.schema.json",
}


@pytest.mark.parametrize("what", PUBLISHED)
def test_a_published_schema_is_up_to_date(catalog: Catalog, what: str) -> None:
    """Each published schema is what `topolab schema` prints (`make schemas` renews them)."""
    assert json.loads(PUBLISHED[what].read_text()) == json.loads(json.dumps(show.schema(what, catalog)))


def test_the_pages_that_are_made_are_up_to_date(catalog: Catalog) -> None:
    """docs/servers.md and each role's README are what `make docs` writes."""
    for path, text in handbook.pages(catalog).items():
        assert path.exists(), f"{paths.shown(path)}: make docs"
        assert path.read_text() == text, f"{paths.shown(path)}: make docs"


def files() -> list[tuple[Path, str]]:
    root = paths.TOPOLOGIES
    topologies = [(path, "topology") for path in sorted(root.glob("*.yaml")) if path.name != "limits.yaml"]
    servers = [(path, "server") for path in sorted(root.glob("servers/*/server.yaml"))]
    return [*topologies, *servers, (root / "limits.yaml", "limits")]


@pytest.mark.parametrize(("path", "what"), files(), ids=lambda value: getattr(value, "stem", value))
def test_a_file_of_the_lab_names_its_schema_and_fits_it(path: Path, what: str) -> None:
    """Each YAML file begins with the line that tells editors its schema, and is valid under it."""
    first, _, text = path.read_text().partition("\n")
    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.partition("$schema=")[2]).resolve() == PUBLISHED[what].resolve()
    jsonschema.validate(yaml.safe_load(text), json.loads(PUBLISHED[what].read_text()))


def test_a_setting_of_any_type_can_be_offered(own_topologies: Path) -> None:
    """A server may have a setting that is a range, and the schema of topologies knows it."""
    server = own_topologies / "servers/nginx/server.yaml"
    extra = 'settings:\n  ports: {type: range, default: "1 5", min: 1, max: 9, help: x, source: x}\n'
    server.write_text(server.read_text().replace("settings:\n", extra, 1))
    [front] = [
        choice
        for choice in show.schema("topology", Catalog(own_topologies))["properties"]["front"]["oneOf"]
        if choice["properties"]["server"]["const"] == "nginx"
    ]
    ports = front["properties"]["ports"]
    jsonschema.validate("2 7", ports)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate("2", ports)
