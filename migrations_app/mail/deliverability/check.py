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
from tenants_app.sentences import Sentence, one_after_the_other, sentence

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
    modes = (
        (False, sentence("mail from the organizer"), organizers),
        (True, sentence("mail from the service"), services),
    )
    for is_author, about, author in modes:
        yield _outcome(names, about, author, services, known, is_present=is_author == service.is_author)
    yield from _advice(names, organizers, services, host, known)


def _spf(names: Names, domain: str, host: str, known: _Known) -> Iterator[Finding]:
    try:
        records = spf.record_of(names, domain)
    except Unknown as unknown:
        yield Finding(
            "SPF", sentence("%(unknown)s, so nothing can be said of SPF.", unknown=unknown.args[0]), Tone.LOOK
        )
        return
    if not records:
        known.spf = spf.Result.NONE
        yield Finding(
            "SPF",
            sentence("%(domain)s has no SPF record, so nobody can tell who may send in its name.", domain=domain),
            Tone.BAD,
        )
        return
    if not host:
        told = sentence("MMS hands its messages to no SMTP server, so it is not known who sends them.")
        yield Finding("SPF", one_after_the_other(_has_record(domain), told), Tone.LOOK)
        return
    addresses = _addresses(names, host)
    if not addresses:
        told = sentence(
            "Which public address %(host)s sends from is not known here: see that the record names it.", host=host
        )
        yield Finding("SPF", one_after_the_other(_has_record(domain), told), Tone.LOOK)
        return
    verdicts = [(address, spf.check(names, domain, address)) for address in addresses]
    known.spf, finding = _told(domain, host, verdicts)
    yield finding


def _has_record(domain: str) -> str:
    return sentence("%(domain)s has an SPF record.", domain=domain)


def _told(domain: str, host: str, verdicts: list[tuple[Address, spf.Verdict]]) -> tuple[spf.Result, Finding]:
    """The worst of the verdicts, in words."""
    bad = next(((at, each) for at, each in verdicts if each.result is not spf.Result.PASS), None)
    if bad is None:
        told = sentence(
            "SPF of %(domain)s lets %(host)s send in its name. That holds if it sends from the address of its name.",
            domain=domain,
            host=host,
        )
        return spf.Result.PASS, Finding("SPF", told)
    address, verdict = bad
    if verdict.result is spf.Result.UNKNOWN:
        return verdict.result, Finding(
            "SPF",
            sentence("What SPF of %(domain)s says cannot be told: %(why)s.", domain=domain, why=verdict.why),
            Tone.LOOK,
        )
    if verdict.result is spf.Result.PERMERROR:
        told = sentence(
            "SPF of %(domain)s is at fault, so that it counts for nothing: %(why)s.", domain=domain, why=verdict.why
        )
        return verdict.result, Finding("SPF", told, Tone.BAD)
    told = sentence(
        "SPF of %(domain)s does not name %(host)s (%(address)s): its answer is %(answer)s. Mail through this server "
        "fails SPF.",
        domain=domain,
        host=host,
        address=str(address),
        answer=verdict.result.value,
    )
    return verdict.result, Finding("SPF", told, Tone.BAD)


def _addresses(names: Names, host: str) -> list[Address]:
    """The server's public addresses, as its name has them."""
    try:
        found = names.addresses(host)
    except Unknown:
        return []
    return [address for address in found if is_public(str(address))][:_MOST_ADDRESSES]


def _dkim(names: Names, selectors: list[str], domains: list[str], known: _Known) -> Iterator[Finding]:
    if not selectors:
        told = sentence(
            "Name the selectors that your server signs with, and their keys are looked at; here mail counts as not "
            "signed."
        )
        yield Finding("DKIM", told, Tone.LOOK)
    for domain in domains if selectors else ():
        problems = []
        for selector in selectors:
            try:
                problem, is_usable = dkim.problem_with(names, selector, domain)
            except Unknown as unknown:
                problem, is_usable = sentence("%(unknown)s.", unknown=unknown.args[0]), False
            problems += [problem] if problem else []
            if is_usable and domain not in known.signs_for:
                known.signs_for.append(domain)
        is_good = domain in known.signs_for
        good = (
            sentence("%(domain)s has a DKIM key. See that the server signs with it as %(domain)s.", domain=domain)
            if is_good
            else Sentence("")
        )
        tone = Tone.GOOD if is_good and not problems else Tone.LOOK if is_good else Tone.BAD
        yield Finding("DKIM", one_after_the_other(good, *problems), tone)


def _outcome(names: Names, about: str, author: str, services: str, known: _Known, *, is_present: bool) -> Finding:
    """What becomes of mail whose From is of a domain."""
    about = sentence("%(about)s, as it is set", about=about) if is_present else about
    try:
        record = dmarc.record_for(names, author)
        by_spf = dmarc.are_aligned(names, author, services, strict=bool(record and record.is_strict("aspf")))
        by_dkim = any(
            dmarc.are_aligned(names, author, domain, strict=bool(record and record.is_strict("adkim")))
            for domain in known.signs_for
        )
    except Unknown as unknown:
        return Finding(
            about,
            sentence(
                "%(unknown)s, so what becomes of mail of %(author)s cannot be told.",
                unknown=unknown.args[0],
                author=author,
            ),
            Tone.LOOK,
        )
    ways = [
        *(["SPF"] if by_spf and known.spf is spf.Result.PASS else []),
        *([sentence("DKIM, if the server signs")] if by_dkim else []),
    ]
    perhaps = by_spf and known.spf is spf.Result.UNKNOWN
    policy = record.policy_for(author) if record else ""
    if ways:
        told = (
            sentence("Aligned with %(author)s by %(way)s: DMARC passes.", author=author, way=ways[0])
            if len(ways) == 1
            else sentence(
                "Aligned with %(author)s by %(way)s and by %(other)s: DMARC passes.",
                author=author,
                way=ways[0],
                other=ways[1],
            )
        )
        if not policy:
            though = sentence("%(author)s has no DMARC record, though.", author=author)
            return Finding(about, one_after_the_other(told, though), Tone.LOOK)
        otherwise = sentence("%(author)s asks for %(policy)s otherwise.", author=author, policy=policy)
        return Finding(about, one_after_the_other(told, otherwise))
    if perhaps:
        told = sentence(
            "Aligned with %(author)s by SPF if the record names the address that the server sends from.", author=author
        )
        return Finding(about, told, Tone.LOOK)
    not_aligned = sentence("Not aligned with %(author)s: neither SPF nor DKIM speaks for it.", author=author)
    if not policy:
        told = sentence("It has no DMARC record, so each receiver decides by itself; large ones sort such mail out.")
        return Finding(about, one_after_the_other(not_aligned, told), Tone.LOOK)
    what = {
        "none": sentence(
            "Mail of %(author)s is delivered as before, since it asks for none: it only watches.", author=author
        ),
        "quarantine": sentence("Mail of %(author)s is put among junk, since it asks for quarantine.", author=author),
        "reject": sentence("Mail of %(author)s is refused, since it asks for reject.", author=author),
    }
    tone = Tone.LOOK if policy == "none" else Tone.BAD
    return Finding(about, one_after_the_other(not_aligned, what[policy]), tone)


def _advice(names: Names, organizers: str, services: str, host: str, known: _Known) -> Iterator[Finding]:
    advice = []
    address = next(iter(_addresses(names, host)), None) if host else None
    term = (
        f"ip{address.version}:{address}" if address else sentence("ip4:, with the address that the server sends from")
    )
    if known.spf is spf.Result.NONE:
        advice.append(sentence("at %(domain)s the TXT record “v=spf1 %(term)s ~all”", domain=services, term=term))
    elif known.spf in {spf.Result.FAIL, spf.Result.SOFTFAIL, spf.Result.NEUTRAL}:
        advice.append(
            sentence("in the SPF record of %(domain)s, before “all”, the term “%(term)s”", domain=services, term=term)
        )
    elif known.spf is spf.Result.PERMERROR:
        advice.append(sentence("one SPF record of %(domain)s that is without fault", domain=services))
    if not known.signs_for:
        advice.append(sentence("a DKIM key of %(domain)s for the server to sign with", domain=organizers))
    for domain in dict.fromkeys([organizers, services]):
        try:
            if dmarc.record_for(names, domain) is None:
                record = f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}"
                advice.append(
                    sentence(
                        "at %(name)s the TXT record “%(record)s”, to watch first",
                        name=f"_dmarc.{domain}",
                        record=record,
                    )
                )
        except Unknown:
            continue
    if advice:
        told = advice[0]
        for each in advice[1:]:
            told = sentence("%(told)s; %(next)s", told=told, next=each)
        yield Finding(sentence("publish"), sentence("Publish %(advice)s.", advice=told), Tone.LOOK)
