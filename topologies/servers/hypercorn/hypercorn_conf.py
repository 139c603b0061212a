"""hypercorn's own configuration file, filled from the environment."""

import os
from importlib.metadata import version

bind = os.environ["BIND"]  # host:port or unix:/path
workers = int(os.environ["WORKERS"])
backlog = int(os.environ["BACKLOG"])  # the kernel caps this at net.core.somaxconn
graceful_timeout = int(os.environ["GRACEFUL_TIMEOUT"])
keep_alive_timeout = int(os.environ["KEEP_ALIVE_TIMEOUT"])

accesslog = None
errorlog = "-"  # stderr

# hypercorn's WSGI environment has no SERVER_SOFTWARE, so the process environment says it.
os.environ["SERVER_SOFTWARE"] = f"hypercorn/{version('hypercorn')}"
