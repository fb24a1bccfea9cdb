"""The deliverability check against a real name server of the test: what it says of either sender mode, in bounds."""

from __future__ import annotations

import base64
import ipaddress
import re
import socket
from collections.abc import Iterator
from typing import Any

import dns.resolver
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.mail.deliverability import dmarc, spf
from migrations_app.mail.deliverability import names as looked_up
from migrations_app.mail.deliverability.check import check
from migrations_app.mail.deliverability.names import Names
from migrations_app.mail.findings import Finding
from tenants_app.changes.mail_servers import change_mail_server
from tenants_app.models import ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.name_server import Records, names
from tests.support.visitors import sign_in

RELAY = "198.18.0.1"
"""Of the network for benchmarks (RFC 2544), which counts as public only where a test says so."""
PUBLIC = "93.184.215.14"


def rsa_key(bits: int) -> str:
    public = generate_private_key(65_537, bits).public_key()
    return base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def text_of(key: str, kind: str = "rsa") -> str:
    """A key's TXT record, in pieces of at most 255 octets as DNS has them."""
    whole = f"v=DKIM1; k={kind}; p={key}"
    return " ".join(f'"{whole[begin : begin + 250]}"' for begin in range(0, len(whole), 250))


KEY, WEAK_KEY = text_of(rsa_key(2048)), text_of(rsa_key(1024))
SHORT_KEY = text_of(base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode(), "ed25519")
SPF = f'"v=spf1 ip4:{PUBLIC} -all"'
REJECT = '"v=DMARC1; p=reject; rua=mailto:postmaster@contoso.com"'


@pytest.fixture
def server(tenant: Tenant) -> Tenant:
    """Contoso sends by a server of its own."""
    change_mail_server(tenant, ACTOR, host="smtp.contoso.com")
    return tenant


def found(tenant: Tenant, records: Records, monkeypatch: pytest.MonkeyPatch, domain: str = "") -> dict[str, Finding]:
    """What the check finds with these records; the server is at a public address."""
    at = {("smtp.contoso.com.", "A"): [PUBLIC], ("smtp.contoso.com.", "AAAA"): []}
    with names({**at, **records}, monkeypatch):
        return {finding.about.removesuffix(", as it is set"): finding for finding in check(tenant, domain)}


def contoso(**of: str) -> Records:
    """Records of contoso.com: of itself, and of the names below it, with the dots left out."""
    where = {"spf": "contoso.com.", "dmarc": "_dmarc.contoso.com.", "dkim": "s1._domainkey.contoso.com."}
    return {(where[name], "TXT"): [text] for name, text in of.items()}


def test_what_is_well_set_up_passes_in_either_mode(server: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    change_mail_server(server, ACTOR, dkim_selectors="s1")
    told = found(server, contoso(spf=SPF, dmarc=REJECT, dkim=KEY), monkeypatch)
    assert not any(finding.is_bad or finding.is_to_be_noted for finding in told.values()), told
    for mode in ("mail from the organizer", "mail from the service"):
        assert "Aligned with contoso.com by SPF and by DKIM" in told[mode].sentence
        assert "asks for reject otherwise" in told[mode].sentence
    assert "publish" not in told


@pytest.mark.parametrize(
    ("policy", "what", "is_bad"),
    [("reject", "is refused", True), ("quarantine", "junk", True), ("none", "as before", False)],
)
def test_an_organizer_of_another_domain_is_not_aligned_and_the_service_is(
    server: Tenant, monkeypatch: pytest.MonkeyPatch, policy: str, what: str, is_bad: bool
) -> None:
    records = {**contoso(spf=SPF, dmarc=REJECT), ("_dmarc.fabrikam.com.", "TXT"): [f'"v=DMARC1;p={policy}"']}
    told = found(server, records, monkeypatch, "fabrikam.com")
    organizer = told["mail from the organizer"]
    assert organizer.sentence.startswith("Not aligned with fabrikam.com")
    assert what in organizer.sentence
    assert organizer.is_bad == is_bad
    assert "Aligned with contoso.com by SPF" in told["mail from the service"].sentence


def test_the_present_mode_is_named(server: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    change_mail_server(server, ACTOR, sender_mode="service")
    with names({}, monkeypatch):
        about = [finding.about for finding in check(server)]
    assert "mail from the service, as it is set" in about
    assert "mail from the organizer" in about


def test_without_any_record_it_says_what_to_publish(server: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    told = found(server, {}, monkeypatch)
    assert "contoso.com has no SPF record" in told["SPF"].sentence
    publish = told["publish"].sentence
    assert f"“v=spf1 ip4:{PUBLIC} ~all”" in publish
    assert "a DKIM key of contoso.com" in publish
    assert "_dmarc.contoso.com" in publish
    assert "p=none" in publish


@pytest.mark.parametrize(
    ("record", "result"),
    [
        (f"v=spf1 ip4:{PUBLIC} -all", "pass"),
        ("v=spf1 ip4:93.184.0.0/16 -all", "pass"),
        ("v=spf1 a:smtp.contoso.com -all", "pass"),
        ("v=spf1 a:other.contoso.com/24 -all", "pass"),
        ("v=spf1 mx -all", "pass"),
        ("v=spf1 include:_spf.contoso.com -all", "pass"),
        ("v=spf1 redirect=_spf.contoso.com", "pass"),
        ("v=spf1 exists:smtp.contoso.com -all", "pass"),
        ("V=SPF1 +ALL", "pass"),
        ("v=spf1 ip6:2001:db8::/32 -all", "fail"),
        ("v=spf1 ptr ~all", "softfail"),
        ("v=spf1 ?all", "neutral"),
        ("v=spf1", "neutral"),
        ("v=spf10 -all", "none"),
        ("v=spf1 include:nothing.contoso.com -all", "permerror"),
        ("v=spf1 redirect=nothing.contoso.com", "permerror"),
        ("v=spf1 ip4:nonsense -all", "permerror"),
        ("v=spf1 what:ever -all", "permerror"),
        ("v=spf1 a/99 -all", "permerror"),
        ("v=spf1 include:contoso.com -all", "permerror"),
        ("v=spf1 a:n1.contoso.com a:n2.contoso.com a:n3.contoso.com -all", "permerror"),
        ("v=spf1 exists:%{i}.contoso.com -all", "unknown"),
    ],
)
def test_it_reads_spf_as_receivers_do(monkeypatch: pytest.MonkeyPatch, record: str, result: str) -> None:
    records = {
        ("contoso.com.", "TXT"): ['"google-site-verification=abc"', f'"{record}"'],
        ("contoso.com.", "A"): [PUBLIC],
        ("contoso.com.", "MX"): ["10 smtp.contoso.com."],
        ("smtp.contoso.com.", "A"): [PUBLIC],
        ("other.contoso.com.", "A"): ["93.184.215.99"],
        ("_spf.contoso.com.", "TXT"): [SPF],
    }
    with names(records, monkeypatch):
        assert spf.check(Names(), "contoso.com", ipaddress.ip_address(PUBLIC)).result.value == result


def test_two_spf_records_count_for_nothing(server: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    told = found(server, {("contoso.com.", "TXT"): [SPF, '"v=spf1 -all"']}, monkeypatch)
    assert told["SPF"].is_bad
    assert "2 SPF records" in told["SPF"].sentence


@pytest.mark.parametrize(
    ("record", "told", "is_bad"),
    [
        ('"v=DKIM1; p="', "was revoked", True),
        ('"v=DKIM1; p=bm9uZQ=="', "is none that can be read", True),
        ('"v=DKIM1; p=***"', "is none that can be read", True),
        ('"something else"', "There is no DKIM key", True),
        (WEAK_KEY, "2,048 would be better", False),
        (SHORT_KEY, "has a DKIM key", False),
    ],
    ids=["revoked", "no key", "no base64", "other text", "weak", "short"],
)
def test_it_looks_at_the_keys_that_are_named(
    server: Tenant, monkeypatch: pytest.MonkeyPatch, record: str, told: str, is_bad: bool
) -> None:
    change_mail_server(server, ACTOR, dkim_selectors="s1")
    finding = found(server, contoso(dkim=record), monkeypatch)["DKIM"]
    assert told in finding.sentence
    assert finding.is_bad == is_bad


@pytest.mark.parametrize(
    ("records", "policy", "organization"),
    [
        ({"a.b.contoso.com.": "v=DMARC1; p=none"}, "none", "a.b.contoso.com"),
        ({"contoso.com.": "v=DMARC1; p=reject"}, "reject", "contoso.com"),
        ({"contoso.com.": "v=DMARC1; p=reject; sp=quarantine"}, "quarantine", "contoso.com"),
        ({"com.": "v=DMARC1; p=none; psd=y", "contoso.com.": "v=DMARC1; p=reject"}, "reject", "contoso.com"),
        ({"com.": "v=DMARC1; p=none; psd=y"}, None, "contoso.com"),
        (
            {"b.contoso.com.": "v=DMARC1; p=reject; psd=n", "contoso.com.": "v=DMARC1; p=none"},
            "reject",
            "b.contoso.com",
        ),
        ({"contoso.com.": "v=DMARC1; p=nonsense"}, "none", "contoso.com"),
        ({"contoso.com.": "v=DMARC2; p=reject"}, None, "a.b.contoso.com"),
    ],
)
def test_dmarc_is_found_by_walking_up(
    monkeypatch: pytest.MonkeyPatch, records: dict[str, str], policy: str | None, organization: str
) -> None:
    texts = {(f"_dmarc.{name}", "TXT"): [f'"{text}"'] for name, text in records.items()}
    with names(texts, monkeypatch):
        record = dmarc.record_for(Names(), "a.b.contoso.com")
        assert (record.policy_for("a.b.contoso.com") if record else None) == policy
        assert dmarc.organization_of(Names(), "a.b.contoso.com") == organization


def test_a_strict_record_asks_for_the_very_same_domain(server: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    change_mail_server(server, ACTOR, sender="mms@mail.contoso.com")
    records = {("mail.contoso.com.", "TXT"): [SPF]}
    relaxed = found(server, {**records, **contoso(dmarc='"v=DMARC1; p=reject"')}, monkeypatch)
    assert "Aligned" in relaxed["mail from the organizer"].sentence
    strict = found(server, {**records, **contoso(dmarc='"v=DMARC1; p=reject; aspf=s"')}, monkeypatch)
    assert "Not aligned" in strict["mail from the organizer"].sentence


def test_a_server_at_a_private_address_is_told_and_judged_by_nobody(
    server: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = {**contoso(spf=SPF), ("smtp.contoso.com.", "A"): ["10.0.0.7"]}
    told = found(server, records, monkeypatch)["SPF"]
    assert "is not known here" in told.sentence
    assert told.is_to_be_noted


# --- bounds ---------------------------------------------------------------------------------------------


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A name server that never answers, asked for a moment only."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], sock.getsockname()[1]
        monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
        monkeypatch.setattr(looked_up, "SECONDS", 0.01)
        yield


def test_a_name_server_that_does_not_answer_is_told(server: Tenant, mute: None) -> None:
    told = [finding.sentence for finding in check(server)]
    assert any("DNS does not answer for contoso.com" in sentence for sentence in told)
    assert any("cannot be told" in sentence for sentence in told)


def test_look_ups_are_bounded_however_many_a_record_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each record includes ten others, without end."""
    asked: list[str] = []
    original = dns.resolver.resolve

    def count(name: str, *args: Any, **options: Any) -> Any:
        asked.append(name)
        return original(name, *args, **options)

    monkeypatch.setattr(dns.resolver, "resolve", count)
    every = " ".join(f"include:n{number}.contoso.com" for number in range(10))
    records = {(f"n{number}.contoso.com.", "TXT"): [f'"v=spf1 {every} -all"'] for number in range(10)}
    with names({**records, ("contoso.com.", "TXT"): [f'"v=spf1 {every} -all"']}, monkeypatch):
        verdict = spf.check(Names(), "contoso.com", ipaddress.ip_address(PUBLIC))
    assert verdict.result is spf.Result.PERMERROR
    assert len(asked) <= spf.MOST_LOOK_UPS + 1


def test_one_check_asks_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    with names({}, monkeypatch):
        known = Names()
        for number in range(looked_up.MOST):
            assert known.texts(f"n{number}.contoso.com") == []
        with pytest.raises(looked_up.Unknown):
            known.texts("one-more.contoso.com")


_WORDS = "v=spf1 all -all a mx include: ip4: ip6: redirect= exists: ptr / %{i} : contoso.com . .. \\ é = ? 1.2.3.4/33"
_TERMS = st.sampled_from([*re.split(" ", _WORDS), "a" * 70])


@given(st.lists(_TERMS, max_size=12).map(" ".join), st.lists(_TERMS, max_size=12).map("".join))
def test_no_record_makes_it_crash(one: str, other: str) -> None:
    class Said(Names):
        def _look_up(self, name: str, kind: str) -> list[str] | None:
            if kind != "TXT":
                return super()._look_up(name, kind) if "\\" in name else [PUBLIC] if kind == "A" else []
            return [f"v=spf1 {one}", f"v=DMARC1;{other}"] if len(name) % 2 else [f"v=spf1 {other}"]

    verdict = spf.check(Said(), "contoso.com", ipaddress.ip_address(PUBLIC))
    assert isinstance(verdict, spf.Verdict)
    assert isinstance(dmarc.organization_of(Said(), "contoso.com"), str)


# --- command and page -----------------------------------------------------------------------------------


def test_the_command_prints_it_for_an_organizers_domain(
    anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change_mail_server(anna.tenant, ACTOR, host="smtp.contoso.com")
    at = {("smtp.contoso.com.", "A"): [PUBLIC], **contoso(spf=SPF, dmarc=REJECT)}
    with names(at, monkeypatch):
        call_command("check_deliverability", "--user", anna.upn)
    told = capsys.readouterr().out
    assert "ok      SPF: SPF of contoso.com lets smtp.contoso.com send in its name." in told
    assert "mail from the organizer, as it is set: Aligned with contoso.com by SPF: DMARC passes." in told


def test_the_page_shows_it(server: Tenant, cast: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with names({("smtp.contoso.com.", "A"): [PUBLIC], **contoso(spf=SPF, dmarc=REJECT)}, monkeypatch):
        page = sign_in("alice").post("/contoso/settings/mail/deliverability/").content.decode()
    assert "Deliverability check" in page
    assert "DMARC passes" in page
