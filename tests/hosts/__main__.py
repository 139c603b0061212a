"""Test hosts by hand.

    python -m tests.hosts up NAME... [--kind bookworm|trixie|plain]     prints the path of their inventory
    python -m tests.hosts down NAME...
    python -m tests.hosts sweep                                         removes what killed test runs left
"""  # fmt: skip

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.hosts.hosts import STATE, inventory, start, sweep
from tests.hosts.images import KINDS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.hosts", description="Containers that act as remote hosts.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start hosts; prints the path of their inventory")
    up.add_argument("names", nargs="+", metavar="NAME")
    up.add_argument("--kind", choices=list(KINDS), default="bookworm")
    down = commands.add_parser("down", help="remove hosts")
    down.add_argument("names", nargs="+", metavar="NAME")
    commands.add_parser("sweep", help="remove what killed test runs left")
    chosen = parser.parse_args()
    try:
        if chosen.command == "up":
            with ThreadPoolExecutor() as pool:
                hosts = list(pool.map(lambda name: start(name, chosen.kind, kept=True), chosen.names))
            print(inventory(STATE / f"{hosts[0].name}.yml", hosts))
            return
        for name in sweep(*(chosen.names if chosen.command == "down" else ())):
            (STATE / f"{name}.yml").unlink(missing_ok=True)
            (STATE / f"known_hosts-{name}").unlink(missing_ok=True)
            print(f"removed {name}", file=sys.stderr)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError) as error:
        sys.exit(f"tests.hosts: {error}")


if __name__ == "__main__":
    main()
