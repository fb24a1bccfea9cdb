"""What GMime (Evolution, notmuch) reads in messages: a program of its own, as GObject comes with the system's Python.

Each line of the input is a message in base64; each line of the output says in JSON what was read.
"""

import base64
import json
import sys

import gi

gi.require_version("GMime", "3.0")
from gi.repository import GMime  # noqa: E402 - only after the version is required


def read(octets: bytes) -> dict[str, object]:
    stream = GMime.StreamMem.new_with_buffer(octets)
    message = GMime.Parser.new_with_stream(stream).construct_message(None)
    parts = GMime.PartIter.new(message)
    texts = {}
    while parts.is_valid():
        part = parts.get_current()
        if isinstance(part, GMime.TextPart):
            texts[part.get_content_type().get_mime_type()] = part.get_text()
        if not parts.next():
            break
    return {
        "subject": message.get_subject(),
        "topic": message.get_header("Thread-Topic"),
        "from": people(message.get_from()),
        "to": people(message.get_to()),
        "texts": texts,
    }


def people(addresses: GMime.InternetAddressList) -> list[list[str]]:
    found = [addresses.get_address(place) for place in range(addresses.length())]
    return [[each.get_name() or "", each.get_addr()] for each in found]


if __name__ == "__main__":
    GMime.init()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(read(base64.b64decode(line))) + "\n")
        sys.stdout.flush()
