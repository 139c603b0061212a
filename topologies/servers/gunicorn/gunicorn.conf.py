"""gunicorn's own configuration file, filled from the environment.

Only what differs from gunicorn's defaults, or what a topology may set, is written here.
"""

import os

bind = os.environ["BIND"]  # host:port or unix:/path
workers = int(os.environ["WORKERS"])
worker_class = os.environ["WORKER_CLASS"]
threads = int(os.environ["THREADS"])
worker_connections = int(os.environ["WORKER_CONNECTIONS"])
backlog = int(os.environ["BACKLOG"])  # the kernel caps this at net.core.somaxconn
reuse_port = os.environ["REUSE_PORT"] == "true"
if reuse_port and bind.startswith("unix:"):
    raise SystemExit("reuse_port=true needs TCP: a unix socket has one listener. Write listen=tcp.")
timeout = int(os.environ["TIMEOUT"])
graceful_timeout = int(os.environ["GRACEFUL_TIMEOUT"])
keepalive = int(os.environ["KEEPALIVE"])

accesslog = None
errorlog = "-"  # stderr
loglevel = "info"

# The heartbeat files of the workers belong in memory: a slow disk would block the worker (gunicorn's own advice).
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else os.environ["RUN_DIR"]

# Since 25 gunicorn opens a control socket under the home directory: a thread and descriptors that nobody uses here.
control_socket_disable = True
