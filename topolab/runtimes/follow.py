"""Prints log files, each line after its service's name, and goes on as they grow."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

POLL_S = 0.2


def show(logs: Mapping[str, Path], *, follow: bool) -> int:
    """Prints what is there; with `follow`, also what comes, until Ctrl-C or until the files are removed."""
    width = max((len(name) for name in logs), default=0)
    files = {name: path.open(errors="replace") for name, path in logs.items()}
    try:
        while True:
            for name, file in files.items():
                for line in file:
                    print(f"{name:<{width}} | {line.rstrip()}", flush=True)
            if not follow or not any(path.exists() for path in logs.values()):
                return 0
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        return 0
    finally:
        for file in files.values():
            file.close()
