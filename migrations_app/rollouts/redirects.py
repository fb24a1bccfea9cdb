"""The redirect map: from each old join link to the one of the meeting that was made anew in its place (R90).

As CSV, and as an nginx ``map`` for a web server that answers under the legacy deployment's name. Old links were read
in mailboxes, so what stands in them is nobody's promise: only paths on the legacy meeting hosts become keys, in quotes,
and of what leads away everything that means something to nginx, or to a browser beside the address, is encoded.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

from django.db.models import F, OuterRef, QuerySet, Subquery

from migrations_app.models import MeetingResult, Rollout, WaveMember
from migrations_app.rewriting.links import links_in
from migrations_app.rewriting.spans import unpack
from migrations_app.rewriting.written_hosts import host_of
from tenants_app.bulk import batched
from tenants_app.csv_files.cells import lines

COLUMNS = ("OldJoinUrl", "NewJoinUrl", "UserPrincipalName", "MeetingUid")
VARIABLE = "$mms_redirect"
"""Of nginx: where a request for an old link is to be sent; empty for every other request."""
LONGEST_KEY = 3_000
"""Octets of a key or target: nginx takes no parameter of more than 4 KB."""
_BATCH = 500
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_SLASHES = re.compile(rb"/{2,}")
_DOTS = re.compile(rb"(?:^|/)\.{1,2}(?:/|$)")
_KEPT = "!'()*+,-./:=?@_~&#[]%"
"""What stays as it is in a target, beside letters and digits: the dollar, quotes, braces and blanks do not."""


class Redirect(NamedTuple):
    """An old join link, the one of the same meeting now, and whose meeting it is."""

    old: str
    new: str
    upn: str
    uid: str


@dataclass(slots=True)
class Count:
    """What a file came to."""

    written: int = 0
    left_out: int = 0
    """Links that are no address of the legacy hosts, or that nginx cannot take."""
    double: int = 0
    """Old links that lead to several meetings: the latest counts."""


def redirects(rollout: Rollout, most: int | None = None) -> Iterator[Redirect]:
    """Every meeting of the rollout's members that MMS has made anew, by its old link on a legacy meeting host.

    A meeting that was made anew twice leads to where it is now; one that an undo has put back leads nowhere. With
    ``most`` only so many of its changes are looked at.
    """
    hosts = frozenset(rollout.legacy.meeting_hosts)
    found = _results(rollout).select_related("run__user").order_by("pk")[:most]
    for some in batched(found.iterator(chunk_size=_BATCH), _BATCH):
        for result in some:
            upn = result.run.user.upn
            for old, new in _links_of(result, hosts):
                if old != new and new:
                    yield Redirect(old, new, upn, result.uid)


def _results(rollout: Rollout) -> QuerySet[MeetingResult]:
    members = WaveMember.objects.filter(wave__rollout=rollout).values("user")
    changed = MeetingResult.objects.filter(outcome=MeetingResult.Outcome.SUCCEEDED, run__tenant=rollout.tenant_id)
    anew = changed.filter(run__user__in=members).exclude(join_url_before=F("join_url_after")).exclude(join_url_after="")
    later = changed.filter(run__user=OuterRef("run__user"), uid=OuterRef("uid")).exclude(join_url_after="")
    now = later.order_by("-pk").values("join_url_after")[:1]
    return anew.annotate(leads_now=Subquery(now))


def _links_of(result: MeetingResult, hosts: frozenset[str]) -> Iterator[tuple[str, str]]:
    """The old links of a meeting, each with where it leads now: that of the series, and of occurrences of their own."""
    told = set()
    if host_of(result.join_url_before) in hosts:
        told.add(result.join_url_before)
        yield result.join_url_before, result.leads_now  # type: ignore[attr-defined]  # annotated
    if result.spans is None:
        return
    by_occurrence: dict[str, tuple[list[str], list[str]]] = {}
    try:
        spans = unpack(bytes(result.spans))
    except ValueError:  # damaged: what is left is the link of the series
        return
    for span in spans:
        if span.recurrence_id:
            before, after = by_occurrence.setdefault(span.recurrence_id, ([], []))
            before += links_in(_readable(span.before))
            after += links_in(_readable(span.after))
    for before, after in by_occurrence.values():
        olds = [url for url in before if host_of(url) in hosts and url not in told and url not in after]
        news = [url for url in after if url not in before and host_of(url) not in hosts]
        if olds and news:
            told.add(olds[0])
            yield olds[0], news[0]


def _readable(text: str) -> str:
    return text.replace("\\n", "\n").replace("\\,", ",").replace("\\;", ";").replace("&amp;", "&")


# --- as files -----------------------------------------------------------------------------------------


def csv_lines(rollout: Rollout, count: Count | None = None) -> Iterator[str]:
    """The map as CSV, piece by piece. ``count`` is filled meanwhile."""
    count = Count() if count is None else count
    yield lines([COLUMNS])
    for some in batched(redirects(rollout), _BATCH):
        count.written += len(some)
        yield lines(some)


def nginx_lines(rollout: Rollout, count: Count | None = None) -> Iterator[str]:
    """The map as a file that nginx includes in its ``http`` block, piece by piece. ``count`` is filled meanwhile."""
    count = Count() if count is None else count
    # On the disk, without a name: an old link may stand only once, and there may be very many.
    with closing(sqlite3.connect("")) as rows:
        rows.execute("CREATE TABLE entry (folded BLOB PRIMARY KEY, key BLOB, target TEXT) WITHOUT ROWID")
        longest = 0
        for redirect in redirects(rollout):
            key, target = key_of(redirect.old), target_of(redirect.new)
            if key is None or target is None:
                count.left_out += 1
                continue
            longest = max(longest, len(key))
            entry = (key.lower(), key, target)  # nginx does not tell large letters from small ones in a map
            fresh = rows.execute("INSERT OR IGNORE INTO entry VALUES (?, ?, ?)", entry).rowcount
            if not fresh:
                count.double += 1
                rows.execute("INSERT OR REPLACE INTO entry VALUES (?, ?, ?)", entry)
            count.written += fresh
        yield _head(rollout, count, longest)
        for some in batched(rows.execute("SELECT key, target FROM entry ORDER BY folded"), _BATCH):
            yield "".join(f'    "{_quoted(key)}" "{target}";\n' for key, target in some)
        yield "}\n"


def _head(rollout: Rollout, count: Count, longest: int) -> str:
    """Sizes that nginx needs for the keys; it takes them only before its first map."""
    bucket = max(128, -(-(longest + 64) // 64) * 64)
    return (
        "# Old join links and where their meetings are now. Include this file in the http block of nginx, before any\n"
        "# other map, and in the server of the old host name: if ($mms_redirect) { return 302 $mms_redirect; }\n"
        f"# Links: {count.written}. Left out: {count.left_out}. Of several meetings: {count.double}.\n"
        f"map_hash_bucket_size {bucket};\n"
        f"map_hash_max_size {max(2048, 2 * count.written)};\n"
        f'map "$host$uri" {VARIABLE} {{\n'
        '    default "";\n'
    )


def key_of(url: str) -> bytes | None:
    """Host and path of an old link as nginx has them in ``$host$uri``; None for what it cannot take, or never asks."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme.lower() not in {"http", "https"} or not host.isascii():
        return None
    path = _SLASHES.sub(b"/", unquote_to_bytes(parts.path) or b"/")
    if _CONTROL.search(path) or _DOTS.search(path):
        return None
    key = host.rstrip(".").encode() + path
    return key if len(key) + key.count(b'"') + key.count(b"\\") <= LONGEST_KEY else None


def target_of(url: str) -> str | None:
    """A new link as it may stand in quotes in a map, and in a ``Location``; None for what leads to no web server."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme.lower() not in {"http", "https"} or not parts.hostname:
        return None
    target = quote(url.encode("utf-8", "replace"), safe=_KEPT)
    return target if len(target) <= LONGEST_KEY else None


def _quoted(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape").replace("\\", "\\\\").replace('"', '\\"')
