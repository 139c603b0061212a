"""A server of one's own is one folder and one YAML; the package is not touched."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.integration.lab import Lab, places
from topolab import paths
from topolab.topology import Catalog

TEXT = (paths.HOME / "CONTRIBUTING.md").read_text().partition("## Add a server")[2]
SERVER, RUN, TOPOLOGY = re.findall(r"```(?:yaml|sh)\n(.*?)```", TEXT, re.DOTALL)[:3]


def test_a_server_is_added_by_one_folder_and_one_file(lab: Lab, tmp_path: Path) -> None:
    """CONTRIBUTING's example, in a folder of its own, is listed, predicted, and measured as it says there."""
    own = tmp_path / "topologies"
    folder = own / "servers" / "wsgiref"
    folder.mkdir(parents=True)
    (folder / "server.yaml").write_text(SERVER)
    (folder / "run").write_text(RUN)
    (folder / "run").chmod(0o755)
    shutil.copy(Catalog().root / "servers/werkzeug/requirements.txt", folder)
    shutil.copy(Catalog().root / "limits.yaml", own)
    (own / "stdlib.yaml").write_text(TOPOLOGY)

    environment = {"TOPOLAB_TOPOLOGIES": str(own)}
    assert [each["topology"] for each in lab.run("list", "--json", cwd=None, **environment).json] == ["stdlib"]
    result = lab.run(
        "capacity", "stdlib", "--runtime", "process", "--requests", "30", "--json", cwd=None, **environment
    )
    assert result.code == 0, (result.err, result.out)
    assert places(result.json) == {"app handler": 1, "app accept_queue": 6, "client unanswered": 23}
    assert "gives 1 in the handler, 6 in the accept queue and 23 unanswered" in TEXT
