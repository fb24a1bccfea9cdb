"""Commands name the command of the Meeting Migration Tool where a refusal advises the tool."""

from __future__ import annotations

from tenants_app.signals import command_for


def by_command(sentence: str) -> str:
    """The sentence with the command that it advises, if any; pages have a link there."""
    return f"{sentence} {command_for([sentence])}".rstrip()
