"""Containers that act as remote hosts, for tests of Ansible: started, reached over ssh on 127.0.0.1, rebooted, lost, removed."""

from tests.hosts.hosts import KINDS, Host, Kind, inventory, start, sweep

__all__ = ["KINDS", "Host", "Kind", "inventory", "start", "sweep"]
