"""One OPTIONS request of SIP, and which answer is its (RFC 3261). Text in, text out; knows no sockets."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field

from migrations_app.rollouts.printed import without_controls

MOST_OCTETS = 64 * 1024
"""Of one answer; a datagram cannot have more."""
COOKIE = "z9hG4bK"
"""With it a branch begins that is unique in the world (section 8.1.1.7)."""
_STATUS_LINE = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2}) ([^\r\n]{0,200})[^\r\n]*", re.IGNORECASE)
_COMPACT = {b"v": b"via", b"i": b"call-id", b"l": b"content-length"}
"""Short forms of header fields (section 7.3.3)."""
_BRANCH = re.compile(rb";\s*branch\s*=\s*([!-+\--:<-~]+)", re.IGNORECASE)
_CSEQ = re.compile(rb"0*([0-9]{1,10})\s+([!-~]+)")


class NotSip(ValueError):
    """Octets that are no answer of SIP."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. Branch, tag and Call-ID are its own, so that no other answer is taken for its."""

    host: str
    port: int
    transport: str
    """``udp``, ``tcp`` or ``tls``."""
    local: tuple[str, int]
    """The address and port from which it is sent."""
    branch: str = field(default_factory=lambda: COOKIE + secrets.token_hex(12))
    tag: str = field(default_factory=lambda: secrets.token_hex(8))
    call_id: str = field(default_factory=lambda: secrets.token_hex(16))

    def octets(self) -> bytes:
        """The request as it is sent (section 11.1)."""
        local = f"{_bracketed(self.local[0])}:{self.local[1]}"
        transport = "" if self.transport == "udp" else f";transport={self.transport}"
        default = 5061 if self.transport == "tls" else 5060
        host = _bracketed(self.host)
        uri = f"sip:{host}{'' if self.port == default else f':{self.port}'}{transport}"
        lines = (
            f"OPTIONS {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.transport.upper()} {local};branch={self.branch};rport",
            "Max-Forwards: 70",
            f"From: <sip:mms@{_bracketed(self.local[0])}>;tag={self.tag}",
            f"To: <sip:{host}>",
            f"Call-ID: {self.call_id}",
            "CSeq: 1 OPTIONS",
            f"Contact: <sip:mms@{local}{transport}>",
            "Accept: application/sdp",
            "User-Agent: Meeting-Migration-Service",
            "Content-Length: 0",
        )
        return "\r\n".join((*lines, "", "")).encode("ascii")


@dataclass(frozen=True, slots=True)
class Response:
    """What was answered, as far as it matters."""

    status: int
    reason: str
    branch: str
    call_id: str
    cseq: int
    method: str
    length: int | None
    """Octets of the body, where that is said."""

    def is_to(self, request: Request) -> bool:
        """Whether it answers this request (section 17.1.3)."""
        return (self.branch, self.call_id, self.cseq, self.method) == (request.branch, request.call_id, 1, "OPTIONS")


def read(octets: bytes) -> Response:
    """The head of an answer; what follows it is left alone. Raises :class:`NotSip`."""
    head, found, _ = octets.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not found:
        raise NotSip
    first, *lines = _unfolded(head).split(b"\r\n")
    status = _STATUS_LINE.fullmatch(first)
    if status is None:
        raise NotSip
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            raise NotSip
        name = name.strip().lower()
        fields.setdefault(_COMPACT.get(name, name), value.strip())  # the topmost is the one of the last hop
    branch = _BRANCH.search(_first(fields.get(b"via", b"")))
    cseq = _CSEQ.fullmatch(fields.get(b"cseq", b""))
    if branch is None or cseq is None:
        raise NotSip
    return Response(
        status=int(status[1]),
        reason=without_controls(status[2].decode("utf-8", "replace")).strip(),
        branch=branch[1].decode("ascii"),
        call_id=fields.get(b"call-id", b"").decode("utf-8", "replace"),
        cseq=int(cseq[1]),
        method=cseq[2].decode("ascii").upper(),
        length=_length(fields.get(b"content-length")),
    )


class Stream:
    """Takes answers apart that come one after the other over TCP (section 18.3)."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._to_skip = 0

    def add(self, octets: bytes) -> None:
        skipped = min(self._to_skip, len(octets))
        self._to_skip -= skipped
        self._octets += octets[skipped:]

    def next(self) -> Response | None:
        """The next answer, once its head is there; its body is passed over. Raises :class:`NotSip`."""
        start = len(self._octets) - len(self._octets.lstrip(b"\r\n"))
        del self._octets[:start]
        end = self._octets.find(b"\r\n\r\n")
        if end < 0:
            if len(self._octets) > MOST_OCTETS:
                raise NotSip
            return None
        response = read(bytes(self._octets[: end + 4]))
        if response.length is None:  # nobody knows where the next one begins
            raise NotSip
        del self._octets[: end + 4]
        self._to_skip, kept = max(0, response.length - len(self._octets)), response.length
        del self._octets[:kept]
        return response


def _unfolded(head: bytes) -> bytes:
    """A header field may go on in the next line, which begins with a blank (section 7.3.1)."""
    return re.sub(rb"\r\n[ \t]+", b" ", head)


def _first(value: bytes) -> bytes:
    """The first of several values with commas between them. A Via holds no comma elsewhere but in quotation marks."""
    is_quoted = False
    for at, octet in enumerate(value):
        if octet == ord('"'):
            is_quoted = not is_quoted
        elif octet == ord(",") and not is_quoted:
            return value[:at]
    return value


def _length(value: bytes | None) -> int | None:
    if value is None:
        return None
    if not value.isdigit() or len(value) > 8:
        raise NotSip
    return int(value)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
