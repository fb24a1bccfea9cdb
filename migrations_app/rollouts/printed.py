"""What a program prints as text that may be kept and shown: bounded, without secrets, without what deceives the eye."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

MOST_KEPT = 4096
"""Octets of what a program prints (R71)."""
_CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff]")
"""What would let printed text look other than it is; a line's end and a tab do not."""
_NAMED_SECRET = re.compile(
    r"""(?ix)
    (?: (?:password|passwd|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key) ["']? \s{0,3} [:=] \s{0,3} ["']?
      | \bauthorization ["']? \s{0,3} [:=] \s{0,3} ["']? (?:[a-z]{1,20}\ {1,3})?
      | \b(?:bearer|basic)\ {1,3} (?=\S{16}) )
    (?P<secret> [^\s"',;&]{1,1000} )
    """
)
_IN_ADDRESS = re.compile(r"://[^\s/:@]{0,100}:(?P<secret>[^\s/@]{1,200})@")
_PRIVATE_KEY = re.compile(
    r"(?s)(?P<secret>-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}-----|\Z))"
)
_SHORTEST_SECRET = 6
"""Shorter ones would blacken words."""
_BLACK = "●●●"


def has_controls(text: str) -> bool:
    """Whether text holds what no single line of text holds."""
    return bool(_CONTROLS.search(text)) or "\n" in text


def without_controls(text: str) -> str:
    """Text of somebody else as it may be shown: with blanks in place of what would let it look other than it is."""
    return _CONTROLS.sub(" ", text)


def shown(octets: bytes, secrets: Collection[str] = ()) -> str:
    """The beginning of what was printed. Give what follows it too: a secret that is cut in two is not known as one."""
    text = without_controls(octets.decode("utf-8", "replace"))
    end = len(octets[:MOST_KEPT].decode("utf-8", "ignore"))
    parts, at = [], 0
    for begin, beyond in sorted(_secret(text, secrets)):
        if begin >= end:
            break
        if beyond > at:
            parts += [text[at:begin], _BLACK]
            at = beyond
    parts.append(text[at:end])
    return "".join(parts).encode()[:MOST_KEPT].decode("utf-8", "ignore")


def _secret(text: str, secrets: Collection[str]) -> Iterator[tuple[int, int]]:
    """Where something stands that must not be shown: what is known to be secret, and what is called so."""
    for secret in {each for each in secrets if len(each) >= _SHORTEST_SECRET}:
        for found in re.finditer(re.escape(secret), text):
            yield found.span()
    for pattern in (_NAMED_SECRET, _IN_ADDRESS, _PRIVATE_KEY):
        for found in pattern.finditer(text):
            yield found.span("secret")
