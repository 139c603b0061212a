"""The command `topolab`: reads what was typed, calls the lab, prints. Only `main` exits.

Results go to stdout, commentary to stderr.
Exit code 0: done and VALID; 1: done but SUSPECT; 2: could not be done, or was interrupted.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from typing import NoReturn

import click

from topolab.cli.console import COULD_NOT, DONE, say
from topolab.errors import LabError, NotRunnable
from topolab.runtimes import interrupts

# By module: the verbs that are its VERBS. One is imported where a verb of it is typed: each starts sooner so.
VERBS = {
    "artefacts": ("artefact",),
    "behaving": ("sensitivity", "identity", "crossing", "isolation", "deadwork", "burst", "endings"),
    "catalog": ("list", "show", "plan", "schema", "docs", "setup"),
    "claiming": ("claims",),
    "comparing": ("diff", "export"),
    "fitting": ("fit",),
    "loading": ("throughput", "latency", "overload", "memory"),
    "measuring": ("capacity", "compare", "proof"),
    "on_hosts": ("tune", "untune"),
    "picking": ("pick",),
    "reporting": ("report",),
    "stacks": ("up", "status", "logs", "down"),
    "waiting": ("waits",),
}


class _Verbs(click.Group):
    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted(verb for verbs in VERBS.values() for verb in verbs)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        for module, verbs in VERBS.items():
            if name in verbs:
                of_module: tuple[click.Command, ...] = importlib.import_module(f"topolab.cli.{module}").VERBS
                return next(verb for verb in of_module if verb.name == name)
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in (known := self.list_commands(ctx)):
            from topolab.yamlfile import nearest

            raise LabError(f'There is no command "{args[0]}".{nearest(args[0], known)} `topolab --help` shows all.')
        return super().resolve_command(ctx, args)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="topolab")
def cli() -> None:
    """Where are N requests? Topolab brings up any way of serving a Flask app, predicts from the settings
    where N requests will stand, measures it, and says where the two differ.

    It does not rank web frameworks. Exit code 0: done and VALID. 1: done but SUSPECT. 2: could not be done.
    """


def main() -> NoReturn:
    """The entry point: runs a verb, turns every `LabError` into one clear line."""
    interrupts.install()
    if sys.stdout is None:  # closed (`>&-`): the next file that is opened would get what we print
        say("topolab: output: it is closed, and nothing can be printed. Give it a place: >/dev/null, say.")
        sys.exit(COULD_NOT)
    try:
        status = _run()
    except LabError as error:
        way_out = f" {error.remedy}" if isinstance(error, NotRunnable) else ""
        say(f"topolab: {error}{way_out}")
        for line in error.details:
            say(f"  {line}")
        sys.exit(COULD_NOT)
    except click.ClickException as error:
        error.show()
        sys.exit(COULD_NOT)
    except (click.Abort, KeyboardInterrupt) as error:
        usual = "everything that it had started is stopped. Finished runs are stored."
        told = (error.__cause__ or error).args  # click makes an Abort of it
        say(f"topolab: interrupted; {told[0] if told else usual}")
        sys.exit(COULD_NOT)
    except OSError as error:
        if error.errno != errno.EPIPE:  # a reader of our output that has gone needs no word
            say(f"topolab: {error.filename or 'output'}: {error.strerror}.")
        sys.stdout = None  # what is left in it can't be written
        sys.exit(COULD_NOT)
    except Exception as error:
        if os.environ.get("TOPOLAB_DEBUG"):
            raise
        say(f"topolab: this is a bug of topolab's: {type(error).__name__}: {error}. TOPOLAB_DEBUG=1 shows where.")
        sys.exit(COULD_NOT)
    sys.exit(status)


def _run() -> int:
    """The exit code of what was typed."""
    try:
        status = cli.main(standalone_mode=False)
    except SystemExit:  # click's own answer to a reader of our output that has gone
        return COULD_NOT
    return status if isinstance(status, int) else DONE
