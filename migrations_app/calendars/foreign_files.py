"""What a file is that is no calendar in UTF-8, as far as its first octets tell."""

from tenants_app.sentences import sentence

_KINDS = (
    (
        (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff"),
        sentence("The file is in UTF-32, but calendars are in UTF-8: save it as UTF-8."),
    ),
    (
        (b"\xff\xfe", b"\xfe\xff", b"B\x00E\x00", b"\x00B\x00E"),
        sentence("The file is in UTF-16, which Notepad calls Unicode, but calendars are in UTF-8: save it as UTF-8."),
    ),
    ((b"PK\x03\x04", b"\x1f\x8b"), sentence("The file is a compressed archive: unpack it.")),
    (
        (b"\xd0\xcf\x11\xe0", b"!BDN"),
        sentence("The file is in Outlook's own format: save it as an iCalendar file (.ics)."),
    ),
    ((b"<",), sentence("The file is an HTML or XML page, and no calendar, which begins with BEGIN:VCALENDAR.")),
)


def what_else(source: bytes) -> str:
    """Return a sentence on what the file is instead of a calendar, and what to do; "" where that is not known."""
    start = source.lstrip(b" \t\r\n")[:8]
    return next((told for starts, told in _KINDS if start.startswith(starts)), "")
