"""What a rewrite replaced, kept small: enough to show it and to put it back."""

import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tenants_app.sentences import sentence

_VERSION = b"\x01"
# What Word, Outlook, Teams and MMS write around the few words that differ. What was packed can only be unpacked with
# the very same octets: a better dictionary is a new file with a new version octet.
_DICTIONARY = Path(__file__).with_name("span_dictionary_1.txt").read_bytes()
# Reading the dictionary takes longer than packing with it, so it is read once. At level 6, the usual one, a large block
# takes six times as long, and a tenth less room.
_PRIMED = zlib.compressobj(3, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)
_LONGEST = 32 * 1024 * 1024


class Span(NamedTuple):
    """One replaced piece of one property of the master or an override.

    `recurrence_id` is "" for the master, else the raw value of RECURRENCE-ID. `before` and `after` are the
    unfolded, still escaped text: of the block in a description, of the whole line for other properties, where ""
    says that the property was taken out.
    """

    recurrence_id: str
    property: str
    before: str
    after: str


def span(recurrence_id: str, name: bytes, before: bytes, after: bytes) -> Span:
    """Return the record of one replacement, made from octets."""
    return Span(
        recurrence_id,
        name.decode("ascii"),
        before.decode("utf-8", "surrogateescape"),
        after.decode("utf-8", "surrogateescape"),
    )


def pack(spans: Iterable[Span]) -> bytes:
    """Return spans as octets for storage: a version octet, then deflate with a dictionary of mail markup."""
    text = json.dumps([*map(list, spans)], ensure_ascii=False, separators=(",", ":"))
    deflate = _PRIMED.copy()
    return _VERSION + deflate.compress(text.encode("utf-8", "surrogatepass")) + deflate.flush()


def unpack(packed: bytes) -> tuple[Span, ...]:
    """Return the spans that `pack` stored. Raises ValueError when the octets are damaged."""
    if packed[:1] != _VERSION:
        raise ValueError(sentence("The stored record of what was replaced has an unknown version."))
    inflate = zlib.decompressobj(-15, zdict=_DICTIONARY)
    try:
        text = inflate.decompress(packed[1:], _LONGEST)
        if not inflate.eof:
            raise ValueError(sentence("The stored record of what was replaced is cut off."))
        return tuple(Span(*map(str, fields)) for fields in json.loads(text.decode("utf-8", "surrogatepass")))
    except (zlib.error, TypeError, UnicodeDecodeError) as error:
        raise ValueError(sentence("The stored record of what was replaced is damaged.")) from error
