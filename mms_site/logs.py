"""How log lines are written."""

from __future__ import annotations

import logging
import re

from django.utils.translation import override

from tenants_app.wording import escaped

_DIRECTORY_QUERY = re.compile(r"(/dial-in/[^?\s\"]*)\?[^\s\"]*")


class OneLine(logging.Formatter):
    """One record, one line, in English: what steers a terminal or would begin a line of its own is escaped.

    A traceback has several, each indented, so that none can pass for a record. What a dial-in directory was asked is
    left out, because it may hold the directory's key.
    """

    def format(self, record: logging.LogRecord) -> str:
        with override("en"):  # sentences speak the language of whoever made the request
            return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - its name in the standard library
        return _DIRECTORY_QUERY.sub(r"\1", escaped(super().formatMessage(record), keeps="\t"))

    def formatException(self, ei: object) -> str:  # noqa: N802 - its name in the standard library
        text = super().formatException(ei)  # type: ignore[arg-type]
        return "\n".join(f"  {escaped(line, keeps=chr(9))}" for line in text.split("\n"))
