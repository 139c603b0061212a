"""What mod_wsgi imports: the application that $APP names (module:object)."""

import importlib
import os

module, _, name = os.environ["APP"].partition(":")
application = getattr(importlib.import_module(module), name)
