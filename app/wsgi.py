"""The ready WSGI object, for servers that want an object rather than a factory."""

from . import create_app

application = create_app()
