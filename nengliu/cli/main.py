"""The command `nengliu`: finds the sub-command, loads only that one, and turns errors into one line."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from types import TracebackType

import click

from nengliu.cli.language import LANGUAGES, examples, say
from nengliu.cli.lazy import LazyGroup
from nengliu.errors import NengliuError

COMMANDS = {
    "demo": "nengliu.cli.demo:demo",
    "up": "nengliu.cli.up:up",
    "import": "nengliu.cli.imports:import_command",
    "collect": "nengliu.cli.collect:collect",
    "acquire": "nengliu.cli.acquire:acquire",
    "simulate": "nengliu.cli.simulate:simulate",
    "query": "nengliu.cli.query:query",
    "restate": "nengliu.cli.restate:restate",
    "cost": "nengliu.cli.cost:cost",
    "user": "nengliu.cli.users:user",
    "doctor": "nengliu.cli.doctor:doctor",
    "audit": "nengliu.cli.audit:audit",
    "repair": "nengliu.cli.repair:repair",
    "retention": "nengliu.cli.retention:retention",
    "logs": "nengliu.cli.logs:logs",
    "health": "nengliu.cli.health:health",
    "migrate": "nengliu.cli.parts:migrate",
    "store": "nengliu.cli.parts:store",
    "flow": "nengliu.cli.parts:flow",
    "tick": "nengliu.cli.tick:tick",
    "dashboard": "nengliu.cli.parts:dashboard",
    "bench": "nengliu.cli.bench:bench",
    "version": "nengliu.cli.parts:version",
}
"""Where each command lies; a module is imported when its command is called, so `--help` stays fast."""


class _Nengliu(LazyGroup):
    """All commands."""

    places = COMMANDS
    texts = "command"

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Open with what the product is, in the reader's language."""
        del ctx
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(say("help.nengliu"))


def _choose_language(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    del ctx, parameter
    if value:
        os.environ["NENGLIU_LANG"] = value  # child processes speak it too
    return value


def _choose_home(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    del ctx, parameter
    if value:
        os.environ["NENGLIU_HOME"] = os.path.abspath(os.path.expanduser(value))  # noqa: PTH100, PTH111
    return value


def group() -> click.Group:
    """Build the command; its help is in the language that holds now."""
    lang = click.Option(["--lang"], type=click.Choice(LANGUAGES), is_eager=True, expose_value=False)
    lang.callback, lang.help = _choose_language, say("option.lang")
    home = click.Option(["--home"], metavar="DIR", is_eager=True, expose_value=False, help=say("option.home"))
    home.callback = _choose_home
    debug = click.Option(["--debug"], is_flag=True, help=say("option.debug"))
    return _Nengliu(
        "nengliu",
        params=[lang, home, debug],
        callback=_start,
        epilog=examples("nengliu"),
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


@click.pass_context
def _start(ctx: click.Context, *, debug: bool) -> None:
    ctx.obj = debug
    if debug:
        sys.excepthook = sys.__excepthook__


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit 0 done, 1 our fault, 2 your input, 3 a service is away, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    sys.excepthook = _one_line
    debug = "--debug" in arguments
    _speak(arguments)
    try:
        sys.exit(group().main(args=arguments, prog_name="nengliu", standalone_mode=False) or 0)
    except NengliuError as error:
        if debug:
            raise
        _tell(f"nengliu: {error}")
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the reader left; nothing to say to it
        sys.exit(0)


def _speak(arguments: Sequence[str]) -> None:
    """Find the language before any help text is made."""
    for flag, value in zip(arguments, [*arguments[1:], ""], strict=True):
        wanted = value if flag == "--lang" else flag.removeprefix("--lang=")
        if flag.startswith("--lang") and wanted in LANGUAGES:
            os.environ["NENGLIU_LANG"] = wanted


def _one_line(kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """Tell of a mistake in the program itself without a traceback; `--debug` shows it."""
    _tell(say("error.unexpected", kind=kind.__name__, error=error))


def _tell(sentence: str) -> None:
    """Say what went wrong; a part of an installation says it with its time, because a log file keeps it."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ ERROR ", time.gmtime())
    click.echo((stamp if os.environ.get("NENGLIU_SUPERVISOR") else "") + sentence, err=True)
