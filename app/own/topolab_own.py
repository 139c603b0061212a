"""The lab's app, and below /own a person's own: what servers import where a plan names one.

As a program it only imports both: can that be done?

- `OWN_APP`: `FOLDER:MODULE:NAME`, the person's WSGI application; `NAME()` is a factory that takes nothing. The folder
  becomes the current one, as if the server had been started in it.
- `FOLDER/.env`: variables of the person's app, a line `NAME=VALUE` each. Nothing of them is stored anywhere.

It stands alone in its folder, which is all of the lab that is on the path of the person's app: any module of theirs may
have the name of one of ours, `app` above all. So ours are loaded under another name.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from werkzeug.middleware.dispatcher import DispatcherMiddleware

MOUNT = "/own"
LABS = "topolab_app"  # the package `app` under a name that nobody else has


def mounted(text: str) -> DispatcherMiddleware:
    """Both apps. DispatcherMiddleware moves the mount point from PATH_INFO to SCRIPT_NAME, where url_for finds it."""
    try:
        labs = labs_app()
    except ImportError as error:
        raise RuntimeError(f"the lab's app beside it needs Flask 2 or newer ({error})") from error
    return DispatcherMiddleware(labs, {MOUNT: own_app(text)})


def labs_app() -> Any:
    """The lab's own app, which is what the instrument measures by."""
    spec = importlib.util.spec_from_file_location(LABS, Path(__file__).resolve().parent.parent / "__init__.py")
    assert spec
    assert spec.loader
    package = sys.modules[LABS] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    return package.create_app()


def own_app(text: str) -> Any:
    """The person's app. Whatever is wrong with it is an exception that says what."""
    folder, module, name = text.rsplit(":", 2)
    os.chdir(folder)
    sys.path.insert(0, folder)
    with variables(Path(folder, ".env")):
        found = getattr(importlib.import_module(module), name.removesuffix("()"))
        if name.endswith("()"):
            found = found()
    _require_wsgi(found, f"{module}:{name}")
    return found


@contextlib.contextmanager
def variables(file: Path) -> Iterator[None]:
    """The environment with the file's variables in it; afterwards those that the server has too are as they were."""
    servers = dict(os.environ)
    os.environ.update(dict(_lines(file)))
    try:
        yield
    finally:
        os.environ.update(servers)


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    if not file.is_file():
        return
    for number, line in enumerate(file.read_text().splitlines(), 1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise ValueError(f"{file} line {number}: this is not NAME=VALUE")  # which may be a secret: it is not told
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        yield name, value[1:-1] if quoted else value


def _require_wsgi(found: Any, where: str) -> None:
    if not callable(found):
        raise TypeError(f"{where} is of type {type(found).__name__}, and no WSGI application")
    with contextlib.suppress(ValueError):  # not every callable tells what it takes
        signature = inspect.signature(found)
        try:
            signature.bind({}, print)
        except TypeError:
            raise TypeError(
                f"{where} does not take what a WSGI application takes (environ, start_response). Is it a factory? "
                f"Then write {where}()"
            ) from None


if __name__ == "__main__":
    try:
        mounted(os.environ["OWN_APP"])
    except BaseException:
        traceback.print_exc()
        os._exit(1)  # threads that the app has started by now need not end
    os._exit(0)

application = mounted(os.environ["OWN_APP"])
