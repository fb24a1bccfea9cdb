"""An email backend that writes one ``.eml`` file per message: the default outbox of a fresh installation."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

_AT_A_TIME = 8
"""Files that are brought to the disk at a time."""


class EmailBackend(BaseEmailBackend):
    """Writes to ``EMAIL_FILE_PATH``. A file's name follows from the Message-ID, so sending twice makes one file.

    When ``send_messages`` returns, all of its files are on the disk, whole and under their names. What it raises says
    nothing about which of them are. A reader of the folder never sees half a message.
    """

    is_repeatable = True

    def __init__(self, *, file_path: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.folder = Path(file_path or settings.EMAIL_FILE_PATH)

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as files, ExitStack() as unfinished:
            written = [(*self._write(email, files, unfinished), self._path(email)) for email in email_messages]
            with ThreadPoolExecutor(_AT_A_TIME) as threads:  # so that the disk can take them together
                list(threads.map(os.fsync, [file for file, _, _ in written]))
            for _, temporary, path in written:
                os.replace(temporary, path)
            unfinished.pop_all()
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)  # the names
        finally:
            os.close(folder)
        return len(email_messages)

    def _path(self, email: EmailMessage) -> Path:
        message_id = str(email.message()["Message-ID"])
        return self.folder / f"{hashlib.blake2b(message_id.encode(), digest_size=16).hexdigest()}.eml"

    def _write(self, email: EmailMessage, files: ExitStack, unfinished: ExitStack) -> tuple[IO[bytes], str]:
        """Write the message under a name that is no message's, gone at the end unless it is given another."""
        descriptor, temporary = tempfile.mkstemp(dir=self.folder, prefix=".", suffix=".part")
        file = files.enter_context(os.fdopen(descriptor, "wb"))
        unfinished.callback(Path(temporary).unlink, missing_ok=True)
        file.write(email.message().as_bytes(linesep="\r\n"))  # type: ignore[call-arg]
        file.flush()
        return file, temporary
