"""The WSGI app as an ASGI app, for gunicorn's asgi worker: a2wsgi runs each request in a pool of threads."""

import os

import gunicorn
from a2wsgi import WSGIMiddleware
from werkzeug.utils import import_string

# The WSGI environment that a2wsgi makes has no SERVER_SOFTWARE, so the process environment says it.
os.environ["SERVER_SOFTWARE"] = gunicorn.SERVER_SOFTWARE

application = WSGIMiddleware(import_string(os.environ["APP"]), workers=int(os.environ["A2WSGI_WORKERS"]))
