"""``commands.md`` and a page for each command: from the parser, with the example that its help has."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator

from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand, DjangoHelpFormatter

from migrations_app.management.documentation.mentions import Mentions

OWN = {"migrations_app", "tenants_app"}
INTRODUCTION = """\
# Commands

Written by `make docs` from the commands themselves: do not edit it by hand. Each says the same in the terminal, with
`--help`.

- **Exit status**: 0 done; 1 the answer is "no" or something failed, with one line on standard error; 2 wrong usage.
  Checks for monitoring answer 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
- **Tenant**: `--tenant SLUG` may be left out where there is one tenant only.
- **Looking first**: `--dry-run` says what would happen and writes nothing.
- **For scripts**: `--format json` and `--format csv` have names that stay as they are in every language.
- Each change stands in the audit, with the account that called the command.
"""


def pages(mentions: Mentions) -> Iterator[tuple[str, Iterable[str]]]:
    commands = {name: load_command_class(app, name) for name, app in sorted(get_commands().items()) if app in OWN}
    yield "commands.md", _all(commands)
    for name, command in commands.items():
        yield f"commands/{name}.md", _command(name, command, mentions)


def _all(commands: dict[str, BaseCommand]) -> Iterator[str]:
    yield INTRODUCTION
    yield "| command | what it does |"
    yield "|---|---|"
    for name, command in commands.items():
        yield f"| [`{name}`](commands/{name}.md) | {_cell(command.help)} |"


def _command(name: str, command: BaseCommand, mentions: Mentions) -> Iterator[str]:
    parser = command.create_parser("manage.py", name)
    yield f"# `{name}`\n"
    yield f"{' '.join(str(command.help).split())}\n"
    yield "```sh"
    yield f"python manage.py {name} {getattr(command, 'example', '')}".strip()
    yield "```\n"
    own = [action for action in parser._actions if not _is_djangos(action)]
    if own:
        yield "| argument | what it means |"
        yield "|---|---|"
        for action in own:
            yield f"| {_called(action)} | {_meaning(parser, action)} |"
        yield ""
    for group in parser._mutually_exclusive_groups:
        names = " or ".join(_called(action) for action in group._group_actions)
        if not any(isinstance(action, argparse.BooleanOptionalAction) for action in group._group_actions):
            yield f"Only one of {names}{'; one of them is required' if group.required else ''}.\n"
    yield from mentions.see_also(name)
    yield "What all commands share: [Commands](../commands.md). Written by `make docs`: do not edit it by hand."


def _is_djangos(action: argparse.Action) -> bool:
    """Whether every command of Django has it."""
    return bool(DjangoHelpFormatter.show_last.intersection(action.option_strings)) or "--help" in action.option_strings


def _called(action: argparse.Action) -> str:
    value = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
    if not action.option_strings:
        return f"`{value}`"
    if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction):
        return ", ".join(f"`{option}`" for option in action.option_strings)
    if action.choices and not action.metavar:
        value = "|".join(map(str, action.choices))
    return f"`{action.option_strings[-1]} {_cell(value)}`"


def _meaning(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    if action.default == settings.MMS_BASE_URL:  # which differs from machine to machine
        action.help = str(action.help).replace(" (%(default)s)", "")
    said = _cell(parser._get_formatter()._expand_help(action)) if action.help else ""
    needed = "**required**" if action.required and action.nargs not in {"*", "?"} else ""
    return "; ".join(filter(None, [needed, said])) or "–"


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")
