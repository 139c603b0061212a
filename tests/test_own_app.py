"""A person's own app: how it is named, what it does to a plan, how it is imported, and every mistake on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import pytest

from tests import loaded
from topolab import offers, paths
from topolab.changes import between
from topolab.cli import cli, repeating
from topolab.comparison import Comparison
from topolab.errors import LabError, NotRunnable
from topolab.experiments.capacity import command
from topolab.experiments.overload import WORK, dead
from topolab.experiments.stand import usual
from topolab.instrument.work import UNCOUNTED, request
from topolab.loads import Work
from topolab.ownapp import OwnApp
from topolab.plan import Plan, resolve
from topolab.reports import words
from topolab.results import Run
from topolab.runtimes import importing, venvs
from topolab.runtimes.process import ProcessRuntime
from topolab.runtimes.rollout import rollout
from topolab.topology import Catalog

SHOP = """
import os
from flask import Flask
app = Flask(__name__)
def create_app():
    return app
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of the smallest app there is."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/shop.py").write_text(SHOP)
    return tmp_path / "shop"


def planned(catalog: Catalog, folder: Path, name: str = "gunicorn-sync", *sets: str) -> Plan:
    return resolve(catalog, name, sets=sets, own=OwnApp(folder, "shop", "app"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("shop:app", '--app "shop:app" is not FOLDER:MODULE:NAME. Write, for instance, --app ~/shop:shop.wsgi:app, or'),
        ("", '--app "" is not FOLDER:MODULE:NAME.'),
        ("/no/such:shop:app", '--app "/no/such:shop:app": there is no folder /no/such. Write the one that its server'),
        ("~nosuchuser/x:shop:app",
         "~nosuchuser/x leads nowhere: Could not determine home directory. Write the whole path."),
        ("/tmp:shop/wsgi.py:app", '"shop/wsgi.py" is no module. Write it as Python imports it: shop.wsgi, not'),
        ("/tmp:shop:create_app('x')", "\"create_app('x')\" names nothing in shop. Write the WSGI application (app),"),
        ("/tmp:shop:", '"" names nothing in shop.'),
    ],
)  # fmt: skip
def test_what_names_no_app_is_refused(text: str, says: str) -> None:
    """One line: what was typed, which part of it is wrong, and what to write."""
    with pytest.raises(LabError) as refused:
        OwnApp.typed(text)
    assert says in str(refused.value)


def test_an_app_is_named_as_gunicorn_has_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to where one stands, or to one's home; a name, or a factory's call without arguments."""
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("HOME", str(folder.parent))
    for text in ("shop:shop.wsgi:app", "~/shop:shop.wsgi:app", f"{folder}:shop.wsgi:app"):
        assert OwnApp.typed(text) == OwnApp(folder, "shop.wsgi", "app")
    factory = OwnApp.typed("shop:shop:create_app()")
    assert str(factory) == f"{folder}:shop:create_app()"
    assert OwnApp.read(str(factory)) == factory


def test_a_plan_names_it_wherever_it_is_kept(catalog: Catalog, folder: Path) -> None:
    """In the environment that is started, in what was asked, in what to type again, and in the tables."""
    plan, without = planned(catalog, folder), resolve(catalog, "gunicorn-sync")
    assert plan.environment() == {
        **without.environment(), "APP": "topolab_own:application", "OWN_APP": f"{folder}:shop:app",
    }  # fmt: skip
    assert command(plan, "process").endswith(f"--requests 1000 --app {folder}:shop:app")
    assert "--app" not in command(without, "process")
    assert words.deviations(plan.asked) == "app shop:app"


def test_other_apps_are_not_compared_unless_it_is_asked_for() -> None:
    """Figures of two apps, or of one and the lab's alone, are of different things."""

    def of(app: str) -> Comparison:
        run: Run = loaded.throughput("waitress", 1000.0)
        return Comparison((), others=(replace(run, plan={**run.plan, "OWN_APP": app}),))

    one = of("/a:shop:app")
    for other, told in ((of("/b:shop:app"), "/b:shop:app"), (of(""), "the lab's own")):
        change = between(one, other).changes[0]
        assert (change.verdict, change.because) == (
            "not comparable", f"other app: /a:shop:app and {told} (--across app)",
        )  # fmt: skip
        assert between(one, other, across=("app",)).across == (f"app: /a:shop:app and {told}",)
    assert "app" not in between(one, one).changes[0].because


def test_one_types_it_once_for_a_whole_campaign(folder: Path) -> None:
    """Its further words name the app, so that --resume has it; auto is the process runtime."""
    context = repeating.further.make_context("compare", ["--app", f"{folder}:shop:app", "--work", "path:/a?b=1"])
    assert context.params["runtime_name"] == "process"
    typed = repeating.words(context)
    assert set(typed) == {"--app", f"{folder}:shop:app", "--work", "path:/a?b=1"}
    wanted, load = repeating.read(typed)
    assert wanted.app == OwnApp(folder, "shop", "app")
    assert load == {"works": (Work("path", path="/a?b=1"),)}


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["capacity", "waitress", "--app", "FOLDER:shop:app", "--runtime", "compose"],
         "--runtime compose: your own app is measured on this machine, in the process runtime. Write --runtime "),
        (["capacity", "waitress", "--hosts", "all.yml", "--app", "FOLDER:shop:app"],
         "--hosts: your own app is measured on this machine, in the process runtime. Leave --hosts or --app out."),
        (["plan", "waitress", "--app", "FOLDER:shop:app"], "--runtime process is for this machine."),
        (["capacity", "multi-waitress", "--app", "FOLDER:shop:app"], " serves several apps of the lab's, and has no"),
        (["throughput", "waitress", "--work", "path:/a"],
         '--work "path:/a" asks your own app. Name it: --app FOLDER:MODULE:NAME.'),
        (["compare", "waitress", "--app", "FOLDER:shop:app", "--work", "path:/a"],
         "--work is for throughput, latency, overload. Measure one of them (--experiments), or leave it out."),
        (["tune", "--hosts", "all.yml", "--app", "FOLDER:shop:app"], "No such option"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_it_is_refused(
    typed: list[str], says: str, folder: Path, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clear line, and nothing was begun, stored or installed."""
    monkeypatch.setattr("topolab.paths.STATE", tmp_path / "state")
    monkeypatch.setattr("topolab.paths.RESULTS", tmp_path / "results")
    several = next(name for name in catalog.names if catalog.topology(name).entry == "multi")
    said = [word.replace("FOLDER", str(folder)).replace("multi-waitress", several) for word in typed]
    with pytest.raises((LabError, click.ClickException)) as refused:
        cli.main(said, standalone_mode=False)
    assert says in str(refused.value)
    assert list(tmp_path.iterdir()) == [folder]


def test_it_does_not_go_to_hosts(catalog: Catalog, folder: Path) -> None:
    """A plan with a person's own app is none that a host could be given."""
    with pytest.raises(NotRunnable, match="your own app is measured on this machine"):
        rollout(planned(catalog, folder), "systemd", port=8000)


def test_a_topology_of_several_apps_can_be_made_one_of_a_single_one(catalog: Catalog, folder: Path) -> None:
    """The way out that the refusal names leads out."""
    several = next(name for name in catalog.names if catalog.topology(name).entry == "multi")
    with pytest.raises(NotRunnable) as refused:
        ProcessRuntime().check(planned(catalog, folder, several))
    assert refused.value.remedy == "Write --set entry=single, or leave it out."
    assert ProcessRuntime().check(planned(catalog, folder, several, "entry=single")).own


# Work


def test_a_path_is_asked_below_the_mount_point(catalog: Catalog, folder: Path) -> None:
    """As typed, query and all; where nobody names one, it is the front page of a person's own app."""
    asked = request(offers.work("path:/products?page=2"), UNCOUNTED, "127.0.0.1:80", keepalive=True)
    assert asked.startswith(b"GET /own/products?page=2 HTTP/1.1\r\nHost: 127.0.0.1:80\r\n")
    assert usual(planned(catalog, folder), WORK) == (Work("path", path="/"),)
    assert usual(resolve(catalog, "waitress"), WORK) == (WORK,)


def test_nobody_counts_the_views_of_a_persons_own_app() -> None:
    """An overload of them has no figure of what began for nobody, rather than a zero."""
    [step] = loaded.overload("waitress", 100.0, 1.0).steps
    offered = step.lap.offered
    assert dead(replace(step.lap, offered=replace(offered, work=Work("path", path="/")))) is None
    assert dead(replace(step.lap, offered=replace(offered, work=Work("io", io_ms=20)))) == 0


# Requirements


def test_requirements_make_a_virtualenv_of_its_own(catalog: Catalog, folder: Path) -> None:
    """Without any it is the server's; with them another, by their contents and by those of what they include."""

    def place() -> str:
        plan = planned(catalog, folder)
        lock = venvs.lock_of(plan, plan.app)
        assert lock
        return lock.venv.name

    usual_lock = venvs.lock_of(resolve(catalog, "gunicorn-sync"), catalog.topology("gunicorn-sync").services[0])
    assert usual_lock
    found = [place()]
    assert found == [usual_lock.venv.name]
    (folder / "requirements").mkdir()
    for file, text in (
        ("requirements.txt", "-r requirements/base.txt\n"), ("requirements/base.txt", "inflection\n"),
        ("requirements/base.txt", "inflection==0.5.1\n"), ("requirements.txt", "inflection\n"),
    ):  # fmt: skip
        (folder / file).write_text(text)
        found.append(place())
    assert len(set(found)) == 5
    assert all(name.startswith("own-gunicorn-") for name in found[1:])


def test_the_server_stays_the_one_that_is_locked(catalog: Catalog, folder: Path) -> None:
    """A person's own Flask wins, but their gunicorn is not what is measured."""
    (folder / "requirements.txt").write_text("flask==3.0.0\ngunicorn==20.1.0\n")
    plan = planned(catalog, folder)
    lock = venvs.lock_of(plan, plan.app)
    assert lock
    locked = venvs.locked_versions(plan.app)
    assert f"gunicorn=={locked['gunicorn']}" in lock.kept
    assert not any(each.startswith(("flask", "werkzeug")) for each in lock.kept)


# What servers import


def imported(folder: Path, name: str, code: str = "", **environment: str) -> str:
    """What Python prints that has imported it as a server does, in this virtualenv."""
    program = f"import json, os, sys, topolab_own\n{code}"
    run = subprocess.run(
        [sys.executable, "-c", program], env={**importing.BARE, "PYTHONPATH": str(importing.FOLDER),
        "TOPOLAB_LAB_ROUTES": "1", "OWN_APP": f"{folder}:{name}", **environment},
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


ASK = """
from werkzeug.test import Client
client = Client(topolab_own.application)
told = [client.get(path) for path in ("/healthz", "/own/", "/own/there")]
print(json.dumps([[answer.status_code, answer.text] for answer in told]))
"""


@pytest.mark.parametrize("package", ["shop", "app", "work", "query", "wsgi"])
def test_a_package_may_have_any_name(folder: Path, package: str) -> None:
    """Also one that the lab's own package or a module of it has: each app finds its own, now and later."""
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(
        "from flask import Flask, url_for\n"
        "def create_app():\n"
        "    app = Flask(__name__)\n"
        f"    from {package} import views\n"
        "    app.add_url_rule('/', 'front', views.front)\n"
        "    return app\n"
    )
    (folder / package / "views.py").write_text(
        "from flask import url_for\n"
        "def front():\n"
        f"    from {package}.late import name\n"
        "    return name + url_for('front')\n"
    )
    (folder / package / "late.py").write_text("name = 'their own at '\n")
    health, front, missing = json.loads(imported(folder, f"{package}:create_app()", ASK))
    assert health[0] == 200
    assert "ok" in health[1]
    assert front == [200, "their own at /own/"]
    assert missing[0] == 404


def test_its_variables_are_read_beside_it(folder: Path) -> None:
    """.env holds while the app is made, whatever the server has by that name; then the server's holds again, and the
    folder is the current one."""
    (folder / ".env").write_text("# secrets\n\nexport SHOP='Corner shop'\nWORKERS=theirs\nEMPTY=\n")
    (folder / "shop.py").write_text(f"{SHOP}seen = [os.environ[name] for name in ('SHOP', 'WORKERS', 'EMPTY')]\n")
    code = "import shop\nprint(json.dumps([*shop.seen, os.environ['SHOP'], os.environ['WORKERS'], os.getcwd()]))"
    assert json.loads(imported(folder, "shop:app", code, WORKERS="4")) == [
        "Corner shop", "theirs", "", "Corner shop", "4", str(folder),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("prepare", "name", "says"),
    [
        (lambda folder: None, "shp:app",
         "shp:app can't be imported: ModuleNotFoundError: No module named 'shp'. What it needs belongs into "
         "FOLDER/requirements.txt, what is its own into FOLDER."),
        (lambda folder: (folder / "shop.py").write_text("import nosuchthing\n"), "shop:app",
         "ModuleNotFoundError: No module named 'nosuchthing' (shop.py line 1). What it needs belongs into"),
        (lambda folder: None, "shop:ap", "AttributeError: module 'shop' has no attribute 'ap'. Name the WSGI"),
        (lambda folder: (folder / "shop.py").write_text("app = 'a name'\n"), "shop:app",
         "TypeError: shop:app is of type str, and no WSGI application."),
        (lambda folder: None, "shop:create_app",
         "TypeError: shop:create_app does not take what a WSGI application takes (environ, start_response). Is it a "
         "factory? Then write shop:create_app()."),
        (lambda folder: (folder / "shop.py").write_text("import os\nos.environ['DATABASE_URL']\n"), "shop:app",
         "KeyError: 'DATABASE_URL' (shop.py line 2). It has to be importable as it is; its variables can stand in "
         "FOLDER/.env."),
        (lambda folder: (folder / "shop.py").write_text("raise SystemExit('no database')\n"), "shop:app",
         "SystemExit: no database (shop.py line 1)."),
        (lambda folder: (folder / ".env").write_text("SECRET 12345\n"), "shop:app",
         "ValueError: FOLDER/.env line 1: this is not NAME=VALUE. Correct it there."),
    ],
)  # fmt: skip
def test_what_cannot_be_imported_is_told_in_one_line(
    folder: Path, prepare: Callable[[Path], object], name: str, says: str
) -> None:
    """The last line of its own traceback, where in its files that was, and what to do; no secret is told."""
    prepare(folder)
    module, _, attribute = name.partition(":")
    with pytest.raises(LabError) as refused:
        importing.check(Path(sys.prefix), OwnApp(folder, module, attribute))
    assert says.replace("FOLDER", str(folder)) in str(refused.value)
    assert "12345" not in str(refused.value)


def test_a_flask_that_is_too_old_for_the_lab_is_named(folder: Path) -> None:
    """Where the lab's own app can't be imported with the person's requirements, it is not theirs that is blamed."""
    program = "import sys; sys.modules['flask.typing'] = None; import topolab_own"  # which Flask 1 has not
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        env={**importing.BARE, "PYTHONPATH": str(importing.FOLDER), "OWN_APP": f"{folder}:shop:app"},
    )  # fmt: skip
    told = str(importing._told(OwnApp(folder, "shop", "app"), run.stderr))
    assert "RuntimeError: the lab's app beside it needs Flask 2 or newer (" in told
    assert told.endswith(f"Its requirements are {folder}/requirements.txt.")


def test_what_can_be_imported_is_looked_at_once(folder: Path) -> None:
    """Threads that it has started keep nobody waiting, and the second look takes none."""
    (folder / "shop.py").write_text(
        f"{SHOP}import threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "open('seen', 'a').write('x')\n"
    )
    for _ in range(2):
        importing.check(Path(sys.prefix), OwnApp(folder, "shop", "app"))
    assert (folder / "seen").read_text() == "x"


def test_an_import_that_does_not_end_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed after a while, and the error says that it did not end."""
    monkeypatch.setattr(importing, "IMPORT_S", 0.5)
    (folder / "shop.py").write_text("import time\ntime.sleep(600)\n")
    with pytest.raises(LabError, match="its import did not end within"):
        importing.check(Path(sys.prefix), OwnApp(folder, "shop", "app"))


TELLS = 'sh -c \'printenv APP || echo no APP; printf "%s|" "$$@"\' -'  # its environment, and its words


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["capacity", "TOPOLOGY=waitress"],
         "capacity --runtime auto --hold 0 --requests 1000 --limits default --route gate"),
        (["throughput", "TOPOLOGY=waitress", "WORK=path:/a"],
         "throughput --runtime auto --limits default --work path:/a"),
        (["memory", "TOPOLOGY=waitress"], "memory --runtime auto --limits default --requests 1000"),
        (["compare", "EXPERIMENTS=memory", "TOPOLOGY=waitress"], "compare --runtime auto"),
    ],
)  # fmt: skip
def test_make_passes_the_app_on_as_a_word(typed: list[str], told: str) -> None:
    """Under its own name: APP of the shell stays there, because a plan has a variable of that name."""
    make = ["make", "--no-print-directory", *typed, "APP=../a shop:$(touch x):create_app()", f"TOPOLAB={TELLS}"]
    made = subprocess.run(
        make, cwd=paths.HOME, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True
    )
    assert made.stdout.splitlines()[0] == "no APP"
    assert "--app|../a shop:$(touch x):create_app()|" in made.stdout.splitlines()[-1]
    assert made.stdout.splitlines()[-1].startswith(told.replace(" ", "|"))
