"""The Flask app that every topology serves. It knows no server, and it is not an example of how to write views.

A server takes either the factory, `app:create_app()`, or the ready object, `app.wsgi:application`. The modules import
one another relatively: beside a person's own app, which may be called `app` as well, this package has another name.

Settings, from the environment or from the mapping given to `create_app` (which wins):

- `TOPOLAB_LAB_ROUTES`: `1` adds the routes that hold, sleep and burn. Anything else leaves them out.
- `GATE`: `host:port` of the downstream service that `/hold` and `/io` call.
- `RUN_DIR`: a folder that the app may write to, for the file of `/static`; without it, the folder for temporary files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from . import lab, views, witness, work

SETTINGS = ("TOPOLAB_LAB_ROUTES", "GATE", "RUN_DIR")


def create_app(settings: Mapping[str, str] | None = None) -> Flask:
    """The app, with the lab's routes only where they are asked for."""
    app = Flask(__name__)
    app.config.from_mapping({name: os.environ.get(name, "") for name in SETTINGS})
    app.config.from_mapping(settings or {})
    app.register_error_handler(HTTPException, _as_json)
    app.register_blueprint(views.blueprint)
    if app.config["TOPOLAB_LAB_ROUTES"] == "1":
        app.register_blueprint(lab.blueprint)
        app.register_blueprint(witness.blueprint)
        app.register_blueprint(work.blueprint)
        app.secret_key = "signs sessions of the lab's own requests"
    return app


def _as_json(error: HTTPException) -> ResponseReturnValue:
    """Errors are read by programs here, so they are JSON like every other answer."""
    return jsonify(error=error.description), error.code or 500
