"""A shop as a person might have it: made by a factory, with requirements, and a file that it reads where it stands."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from flask import Flask, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue

STOCK_BYTES = 64 << 20  # what the app itself keeps in memory


def create_app() -> Flask:
    import inflection  # type: ignore[import-not-found]  # of requirements.txt

    app = Flask(__name__)
    motto = Path("motto.txt").read_text().strip()
    stock = b"x" * STOCK_BYTES

    @app.get("/")
    def front() -> ResponseReturnValue:
        return jsonify(motto=motto, products=url_for("products"), flask=version("flask"), stock=len(stock))

    @app.get("/products")
    def products() -> ResponseReturnValue:
        return jsonify(page=request.args.get("page", 1, int), title=inflection.pluralize("product"))

    @app.get("/account")
    def account() -> ResponseReturnValue:
        return redirect(url_for("front"))

    return app
