"""The lines of PowerShell that disable exported rooms at the source (R109). MMS itself writes nothing to a source."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrations_app.chat.archive.reading import Archive

_QUOTES = re.compile("['\u2018\u2019\u201a\u201b]")
"""PowerShell takes each of these for the end of a text in single quotes."""

_HEAD = """\
# Disables the rooms that were exported, so that nobody writes into them any more.
# Run it in the management shell of Lync Server 2013 or Skype for Business Server 2015, and set the pool first:
# the identity of a room is its pool and its name. The shell of earlier servers has no such cmdlet: disable the rooms
# in the administration tool there. No cmdlet disables a category: without rooms that are open, it does nothing.
# Add -WhatIf to a line to see what it would do.
param([Parameter(Mandatory = $true)][string]$Pool)
$ErrorActionPreference = 'Continue'
"""


def lines_that_disable(archive: Archive) -> Iterator[bytes]:
    """A script in UTF-8 with the mark by which Windows PowerShell knows it, by stream."""
    yield b"\xef\xbb\xbf" + _HEAD.replace("\n", "\r\n").encode()
    for room in archive.rooms():
        if not room.is_disabled:
            name = quoted(room.name)
            yield f"Set-CsPersistentChatRoom -Identity ($Pool + '\\' + {name}) -Disabled $true\r\n".encode()


def quoted(text: str) -> str:
    """A text as PowerShell reads it literally, whatever stands in it."""
    return "'" + _QUOTES.sub(lambda quote: quote[0] * 2, text) + "'"
