"""The WSGI app as an ASGI app: a2wsgi runs each request in a pool of threads, so that the event loop stays free."""

import os

import uvicorn
from a2wsgi import WSGIMiddleware
from werkzeug.utils import import_string

# The WSGI environment that a2wsgi makes has no SERVER_SOFTWARE, so the process environment says it.
os.environ["SERVER_SOFTWARE"] = f"uvicorn/{uvicorn.__version__}"

application = WSGIMiddleware(import_string(os.environ["APP"]), workers=int(os.environ["A2WSGI_WORKERS"]))
