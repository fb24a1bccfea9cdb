"""Commands name the command of the Meeting Migration Tool where a refusal advises the tool."""

from __future__ import annotations

_TOOL = "use the Meeting Migration Tool"
_HINT = "The command of the tool is migrate_calendar."


def hint_for(sentence: str) -> str:
    """Which command the tool is, where the sentence advises it; pages have a link there."""
    return _HINT if _TOOL in sentence else ""


def by_command(sentence: str) -> str:
    """The sentence with its hint."""
    return f"{sentence} {hint_for(sentence)}".rstrip()
