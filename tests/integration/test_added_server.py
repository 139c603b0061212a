"""A server of one's own is one folder and one YAML; the package is not touched."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.integration.lab import Lab, places
from topolab.topology import Catalog

SERVER = """\
server: wsgiref
summary: The standard library's one-request-at-a-time server
role: app
settings: {}
capacity:
  - handler:
      - {bound_by: the one thread, count: 1, source: "socketserver.py:216"}
    accept_queue: {backlog: 5, source: "socketserver.py:443"}
"""

RUN = """\
#!/bin/sh
exec "$VENV/bin/python" -c '
import os
from wsgiref.simple_server import make_server
from app.wsgi import application
host, port = os.environ["BIND"].split(":")
make_server(host, int(port), application).serve_forever()
'
"""


def test_a_server_is_added_by_one_folder_and_one_file(lab: Lab, tmp_path: Path) -> None:
    """A made-up topology with a server of its own, in a folder of its own, is listed, predicted and measured."""
    own = tmp_path / "topologies"
    folder = own / "servers" / "wsgiref"
    folder.mkdir(parents=True)
    (folder / "server.yaml").write_text(SERVER)
    (folder / "run").write_text(RUN)
    (folder / "run").chmod(0o755)
    shutil.copy(Catalog().root / "servers/werkzeug/requirements.txt", folder)
    shutil.copy(Catalog().root / "limits.yaml", own)
    (own / "stdlib.yaml").write_text("summary: wsgiref\napp: {server: wsgiref}\n")

    environment = {"TOPOLAB_TOPOLOGIES": str(own)}
    assert [each["topology"] for each in lab.run("list", "--json", cwd=None, **environment).json] == ["stdlib"]
    result = lab.run(
        "capacity", "stdlib", "--runtime", "process", "--requests", "30", "--json", cwd=None, **environment
    )
    assert result.code == 0, (result.err, result.out)
    assert places(result.json) == {"app handler": 1, "app accept_queue": 6, "client unanswered": 23}
