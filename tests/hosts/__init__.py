"""Containers that act as remote hosts: started, reached over ssh on 127.0.0.1, rebooted, lost, removed."""

from tests.hosts.hosts import Host, inventory, running, start, sweep
from tests.hosts.images import KINDS, Kind

__all__ = ["KINDS", "Host", "Kind", "inventory", "running", "start", "sweep"]
