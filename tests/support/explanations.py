"""Invitations for the page *Explain*, and what it decides."""

from __future__ import annotations

import re

from tests.support.pages import words

LINK = b"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK:"


def with_property(body: bytes, line: bytes) -> bytes:
    return body.replace(b"BEGIN:VEVENT\r\n", b"BEGIN:VEVENT\r\n" + line + b"\r\n")


def decision(page: str) -> str:
    found = re.search(r'<section class="decision".*?</section>', page, re.DOTALL)
    assert found
    return words(found[0].encode()).strip()
