"""Commands name the command of the Meeting Migration Tool where a refusal advises the tool."""

from __future__ import annotations

_TOOL = "use the Meeting Migration Tool"


def by_command(sentence: str) -> str:
    """The sentence, with the tool's command where it advises the tool; pages have a link there."""
    return f"{sentence} The command of the tool is migrate_calendar." if _TOOL in sentence else sentence
