"""The content lines of a calendar object as they stand there, for tests that compare every octet."""

import re

STAMPS = {
    b"SEQUENCE",
    b"DTSTAMP",
    b"LAST-MODIFIED",
    b"X-MICROSOFT-CDO-APPT-SEQUENCE",
    b"X-MS-OLK-APPTLASTSEQUENCE",
    b"X-MS-OLK-APPTSEQTIME",
}


def physical(source: bytes) -> list[tuple[tuple[str, str], bytes]]:
    """((component, property), octets with folds and line ending) of each content line.

    A component is "" for a calendar and a master, the raw RECURRENCE-ID for an override, and the name of any other
    component beside the events; what stands in components inside another has no property name, so that nothing can
    be said to change there.
    """
    lines = re.findall(rb"[^\n]*(?:\n[ \t][^\n]*)*(?:\n|$)", source)
    found: list[tuple[tuple[str, str], bytes]] = []
    depth, component, start = 0, "", 0
    for line in filter(None, lines):
        text = unfolded(line)
        name = re.split(rb"[:;]", text, maxsplit=1)[0].removeprefix(b"\xef\xbb\xbf").upper()
        if name == b"BEGIN":
            depth += 1
            if depth == 2:
                kind = text.partition(b":")[2].strip().upper().decode()
                component, start = "" if kind == "VEVENT" else kind, len(found)
        found.append(((component, name.decode("ascii", "replace") if depth == 2 else ""), line))
        if name == b"RECURRENCE-ID" and depth == 2 and not component:
            component = text[len(head(text)) :].decode().strip()
            found[start:] = [((component, key[1]), each) for key, each in found[start:]]
        if name == b"END":
            depth -= 1
            if depth == 1:
                component = ""
    return found


def physical_length(line: bytes) -> int:
    return max(len(each.rstrip(b"\r")) for each in line.split(b"\n"))


def unfolded(line: bytes) -> bytes:
    return re.sub(rb"\r?\n[ \t]", b"", line).rstrip(b"\r\n")


def head(line: bytes) -> bytes:
    found = re.match(rb'(?:[^":]|"[^"]*")*:', line)
    assert found
    return found[0]


def unescaped(value: bytes, raw: bool) -> str:
    text = value.decode("utf-8", "surrogateescape")
    return text if raw else re.sub(r"\\([nN,;\\])", lambda found: "\n" if found[1] in "nN" else found[1], text)


def without_stamps(source: bytes) -> list[bytes]:
    lines = (unfolded(line) for _, line in physical(source))
    return [line for line in lines if re.split(rb"[:;]", line, maxsplit=1)[0].upper() not in STAMPS]
