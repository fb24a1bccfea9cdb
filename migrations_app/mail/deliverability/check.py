"""The check itself: what becomes of mail in either sender mode, and what to publish."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from migrations_app.mail.deliverability import dkim, dmarc, spf
from migrations_app.mail.deliverability.names import Address, Names, Unknown
from migrations_app.mail.findings import Finding, Tone
from migrations_app.mail.servers import service_of
from migrations_app.monitoring import mail_server
from migrations_app.reachable import is_public
from tenants_app.models import MailServerConnection, Tenant

_MOST_ADDRESSES = 4
"""Of a server that are looked at."""


@dataclass(slots=True)
class _Known:
    """What was found of the server's and the sender's domain."""

    spf: spf.Result = spf.Result.UNKNOWN
    signs_for: list[str] = field(default_factory=list)
    """Domains that have a usable key."""


def check(tenant: Tenant, organizers_domain: str = "") -> Iterator[Finding]:
    """What recipients' servers will make of the tenant's messages, in either mode.

    ``organizers_domain`` is that of an organizer; without it the tenant's counts. Bounded in look-ups and in time, and
    raises nothing, whatever DNS says.
    """
    names = Names()
    connection = MailServerConnection.of(tenant)
    service = service_of(tenant, connection)
    organizers = (organizers_domain or tenant.domain).lower()
    services = service.address.rpartition("@")[2].lower()
    host = mail_server.host_of(connection)
    known = _Known()
    yield from _spf(names, services, host, known)
    selectors = [name.strip() for name in connection.dkim_selectors.split(",") if name.strip()]
    yield from _dkim(names, selectors, list(dict.fromkeys([organizers, services])), known)
    modes = ((False, "from the organizer", organizers), (True, "from the service", services))
    for is_author, mode, author in modes:
        yield _outcome(names, f"mail {mode}", author, services, known, is_present=is_author == service.is_author)
    yield from _advice(names, organizers, services, host, known)


def _spf(names: Names, domain: str, host: str, known: _Known) -> Iterator[Finding]:
    try:
        records = spf.record_of(names, domain)
    except Unknown as unknown:
        yield Finding("SPF", f"{unknown}, so nothing can be said of SPF.", Tone.LOOK)
        return
    if not records:
        known.spf = spf.Result.NONE
        yield Finding("SPF", f"{domain} has no SPF record, so nobody can tell who may send in its name.", Tone.BAD)
        return
    if not host:
        told = "MMS hands its messages to no SMTP server, so it is not known who sends them"
        yield Finding("SPF", f"{domain} has an SPF record. {told}.", Tone.LOOK)
        return
    addresses = _addresses(names, host)
    if not addresses:
        told = f"Which public address {host} sends from is not known here: see that the record names it"
        yield Finding("SPF", f"{domain} has an SPF record. {told}.", Tone.LOOK)
        return
    verdicts = [(address, spf.check(names, domain, address)) for address in addresses]
    known.spf, finding = _told(domain, host, verdicts)
    yield finding


def _told(domain: str, host: str, verdicts: list[tuple[Address, spf.Verdict]]) -> tuple[spf.Result, Finding]:
    """The worst of the verdicts, in words."""
    bad = next(((at, each) for at, each in verdicts if each.result is not spf.Result.PASS), None)
    if bad is None:
        told = f"SPF of {domain} lets {host} send in its name."
        return spf.Result.PASS, Finding("SPF", f"{told} That holds if it sends from the address of its name.")
    address, verdict = bad
    if verdict.result is spf.Result.UNKNOWN:
        return verdict.result, Finding("SPF", f"What SPF of {domain} says cannot be told: {verdict.why}.", Tone.LOOK)
    if verdict.result is spf.Result.PERMERROR:
        told = f"SPF of {domain} is at fault, so that it counts for nothing: {verdict.why}."
        return verdict.result, Finding("SPF", told, Tone.BAD)
    told = f"SPF of {domain} does not name {host} ({address}): its answer is {verdict.result.value}."
    return verdict.result, Finding("SPF", f"{told} Mail through this server fails SPF.", Tone.BAD)


def _addresses(names: Names, host: str) -> list[Address]:
    """The server's public addresses, as its name has them."""
    try:
        found = names.addresses(host)
    except Unknown:
        return []
    return [address for address in found if is_public(str(address))][:_MOST_ADDRESSES]


def _dkim(names: Names, selectors: list[str], domains: list[str], known: _Known) -> Iterator[Finding]:
    if not selectors:
        told = "Name the selectors that your server signs with, and their keys are looked at"
        yield Finding("DKIM", f"{told}; here mail counts as not signed.", Tone.LOOK)
    for domain in domains if selectors else ():
        problems = []
        for selector in selectors:
            try:
                problem, is_usable = dkim.problem_with(names, selector, domain)
            except Unknown as unknown:
                problem, is_usable = f"{unknown}.", False
            problems += [problem] if problem else []
            if is_usable and domain not in known.signs_for:
                known.signs_for.append(domain)
        is_good = domain in known.signs_for
        told = f"{domain} has a DKIM key. See that the server signs with it as {domain}." if is_good else ""
        tone = Tone.GOOD if is_good and not problems else Tone.LOOK if is_good else Tone.BAD
        yield Finding("DKIM", " ".join(filter(None, [told, *problems])), tone)


def _outcome(names: Names, about: str, author: str, services: str, known: _Known, *, is_present: bool) -> Finding:
    """What becomes of mail whose From is of a domain."""
    about = f"{about}, as it is set" if is_present else about
    try:
        record = dmarc.record_for(names, author)
        by_spf = dmarc.are_aligned(names, author, services, strict=bool(record and record.is_strict("aspf")))
        by_dkim = any(
            dmarc.are_aligned(names, author, domain, strict=bool(record and record.is_strict("adkim")))
            for domain in known.signs_for
        )
    except Unknown as unknown:
        return Finding(about, f"{unknown}, so what becomes of mail of {author} cannot be told.", Tone.LOOK)
    ways = [
        *(["SPF"] if by_spf and known.spf is spf.Result.PASS else []),
        *(["DKIM, if the server signs"] if by_dkim else []),
    ]
    perhaps = by_spf and known.spf is spf.Result.UNKNOWN
    policy = record.policy_for(author) if record else ""
    if ways:
        told = f"Aligned with {author} by {' and by '.join(ways)}: DMARC passes."
        if not policy:
            return Finding(about, f"{told} {author} has no DMARC record, though.", Tone.LOOK)
        return Finding(about, f"{told} {author} asks for {policy} otherwise.")
    if perhaps:
        told = f"Aligned with {author} by SPF if the record names the address that the server sends from."
        return Finding(about, told, Tone.LOOK)
    not_aligned = f"Not aligned with {author}: neither SPF nor DKIM speaks for it."
    if not policy:
        told = "It has no DMARC record, so each receiver decides by itself; large ones sort such mail out"
        return Finding(about, f"{not_aligned} {told}.", Tone.LOOK)
    what = {
        "none": "is delivered as before, since it asks for none: it only watches",
        "quarantine": "is put among junk, since it asks for quarantine",
        "reject": "is refused, since it asks for reject",
    }
    tone = Tone.LOOK if policy == "none" else Tone.BAD
    return Finding(about, f"{not_aligned} Mail of {author} {what[policy]}.", tone)


def _advice(names: Names, organizers: str, services: str, host: str, known: _Known) -> Iterator[Finding]:
    advice = []
    address = next(iter(_addresses(names, host)), None) if host else None
    term = f"ip{address.version}:{address}" if address else "ip4:, with the address that the server sends from"
    if known.spf is spf.Result.NONE:
        advice.append(f"at {services} the TXT record “v=spf1 {term} ~all”")
    elif known.spf in {spf.Result.FAIL, spf.Result.SOFTFAIL, spf.Result.NEUTRAL}:
        advice.append(f"in the SPF record of {services}, before “all”, the term “{term}”")
    elif known.spf is spf.Result.PERMERROR:
        advice.append(f"one SPF record of {services} that is without fault")
    if not known.signs_for:
        advice.append(f"a DKIM key of {organizers} for the server to sign with")
    for domain in dict.fromkeys([organizers, services]):
        try:
            if dmarc.record_for(names, domain) is None:
                record = f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}"
                advice.append(f"at _dmarc.{domain} the TXT record “{record}”, to watch first")
        except Unknown:
            continue
    if advice:
        yield Finding("publish", f"Publish {'; '.join(advice)}.", Tone.LOOK)
