"""Three applications in one process, mounted by path: the shared app at /, a second Flask app, and a Django app.

Each is a WSGI application of its own, with its own configuration and its own idea of the current request; what they
share is the process and its threads. DispatcherMiddleware moves the mount point from PATH_INFO to SCRIPT_NAME.
"""

from __future__ import annotations

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.urls import path
from flask import Flask, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from . import create_app


def second_app() -> Flask:
    """A Flask app that knows nothing of the first: `current_app` is itself, `url_root` ends in its mount point."""
    second = Flask("second")

    @second.get("/")
    def who() -> ResponseReturnValue:
        return jsonify(app=current_app.name, root=request.url_root, script=request.environ["SCRIPT_NAME"])

    return second


def _who(django_request: HttpRequest) -> JsonResponse:
    return JsonResponse(
        {"app": "django", "version": django.get_version(), "script": django_request.META["SCRIPT_NAME"]}
    )


urlpatterns = [path("", _who)]


def django_app() -> WSGIHandler:
    """The smallest Django app: this module is its URL configuration."""
    if not settings.configured:
        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="signs nothing here", DEBUG=False)
        django.setup()
    return WSGIHandler()


application = DispatcherMiddleware(create_app(), {"/second": second_app(), "/django": django_app()})
