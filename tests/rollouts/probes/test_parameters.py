"""What forms, commands and the database give to checks is read by one function, and refused in one sentence each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.rollouts.probes.kinds import KINDS
from migrations_app.rollouts.probes.parameters import Unusable, host_name

GOOD: dict[str, dict[str, Any]] = {
    "tcp": {"host": "SIP.contoso.com.", "port": "5061", "tls": "on", "days_left": "30"},
    "http": {"url": "HTTPS://Meet.contoso.com?x=1", "text": " hello ", "statuses": "200-299,401"},
    "dns": {"name": "_sip._tls.Contoso.com", "type": "srv", "expected": "0 5 443 sip.contoso.com\r\n\r\n"},
    "sip": {"host": "[2001:DB8::1]", "transport": "UDP", "expected": "ANY"},
    "command": {"program": "check_services", "arguments": "--pool={deployment}\n{host}\n"},
}
BAD = [
    ("tcp", {"port": 443}, "host", "This must be given."),
    ("tcp", {"host": "a", "port": ""}, "port", "Give a whole number from 1 to 65535."),
    ("tcp", {"host": "a", "port": 0}, "port", "Give a whole number from 1 to 65535."),
    ("tcp", {"host": "a", "port": 65536}, "port", "Give a whole number from 1 to 65535."),
    ("tcp", {"host": "a", "port": True}, "port", "Give a whole number from 1 to 65535."),
    ("tcp", {"host": "a", "port": "١"}, "port", "Give a whole number from 1 to 65535."),
    ("tcp", {"host": "https://a/", "port": 1}, "host", "Give a host name such as sip.contoso.com"),
    ("tcp", {"host": "a", "port": 1, "tls": "perhaps"}, "tls", "Give true or false."),
    ("tcp", {"host": "a", "port": 1, "ca_certificates": "x"}, "ca_certificates", "Give certificates in PEM form"),
    ("tcp", {"host": "a", "port": 1, "speed": 3}, "speed", "There is no such parameter: leave it out."),
    ("http", {"url": "meet.contoso.com"}, "url", "Give a web address such as https://meet.contoso.com/"),
    ("http", {"url": "file:///etc/passwd"}, "url", "Give a web address such as"),
    ("http", {"url": "http://anna:pw@contoso.com/"}, "url", "A user name and a password do not belong"),
    ("http", {"url": "http://contoso.com:0/"}, "url", "Give a port from 1 to 65535."),
    ("http", {"url": "http://contoso.com:99999/"}, "url", "Give a web address that names a host"),
    ("http", {"url": "http://a/ b"}, "url", "Give a web address"),
    ("http", {"url": "http://a/\r\nX: y"}, "url", "Give one line of text."),
    ("http", {"url": "http://a/", "statuses": "2xx"}, "statuses", "Give codes and ranges such as 200-299, 401"),
    ("http", {"url": "http://a/", "statuses": "299-200"}, "statuses", "Give codes and ranges such as 200-299, 401"),
    ("http", {"url": "http://a/", "method": "POST"}, "method", "Give one of these: GET, HEAD."),
    ("http", {"url": "http://a/", "method": "HEAD", "text": "x"}, "text", "An answer to HEAD has no text"),
    ("dns", {"name": "a", "expected": "x"}, "expected", "Give one IPv4 address a line"),
    ("dns", {"name": "a", "type": "AAAA", "expected": "1.2.3.4"}, "expected", "Give one IPv6 address a line"),
    ("dns", {"name": "a", "type": "SRV", "expected": "sip.contoso.com"}, "expected", "Give priority, weight, port"),
    ("dns", {"name": "a", "type": "SRV", "expected": "0 0 70000 b"}, "expected", "Give priority, weight, port"),
    ("dns", {"name": "a", "type": "MX"}, "type", "Give one of these: A, AAAA, CNAME, SRV, TXT."),
    ("dns", {"name": "a", "match": "contains"}, "expected", "Give at least one record"),
    ("dns", {"name": "a b"}, "name", "Give a host name"),
    ("dns", {"name": "a", "type": "TXT", "expected": ["x"] * 51}, "expected", "Give no more than 50 lines."),
    ("sip", {"host": "a", "transport": "ws"}, "transport", "Give one of these: udp, tcp, tls."),
    ("sip", {"host": "a", "port": -1}, "port", "Give a whole number from 0 to 65535."),
    ("command", {"program": "../sh"}, "program", "Give the bare name of a program"),
    ("command", {"program": "a", "arguments": "{password}"}, "arguments", "There is no placeholder {password}"),
    ("command", {"program": "a", "arguments": ["a\nb"]}, "arguments", "Give one line of text for each."),
    ("command", {"program": "a", "arguments": ["a\0"]}, "arguments", "Give text without control characters."),
    ("command", {"program": "a", "arguments": [{"x": 1}]}, "arguments", "Give text without control characters."),
    ("command", {"program": "a" * 101}, "program", "Give no more than 100 characters."),
]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_read_is_read_back_from_json(kind: str) -> None:
    parameters = KINDS[kind].parse(GOOD[kind])

    stored = json.loads(json.dumps(KINDS[kind].as_json(parameters)))

    assert KINDS[kind].parse(stored) == parameters
    assert set(stored) == {parameter.name for parameter in KINDS[kind].parameters}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_form_shows_is_read_back(kind: str) -> None:
    parameters = KINDS[kind].parse(GOOD[kind])
    fields = {each.name: each.shown(getattr(parameters, each.name)) for each in KINDS[kind].parameters}

    assert KINDS[kind].parse(fields) == parameters


def test_everything_has_one_form() -> None:
    assert KINDS["tcp"].parse(GOOD["tcp"]).host == "sip.contoso.com"
    assert KINDS["http"].parse(GOOD["http"]).url == "https://meet.contoso.com/?x=1"
    assert KINDS["http"].parse(GOOD["http"]).statuses == "200-299, 401"
    assert KINDS["sip"].parse(GOOD["sip"]).host == "2001:db8::1"
    assert KINDS["command"].parse(GOOD["command"]).arguments == ("--pool={deployment}", "{host}")


@pytest.mark.parametrize(
    ("kind", "hosts"),
    [
        ("tcp", ("sip.contoso.com",)),
        ("http", ("meet.contoso.com",)),
        ("dns", ()),
        ("sip", ("2001:db8::1",)),
        ("command", ()),
    ],
)
def test_a_form_knows_which_hosts_the_deployment_must_list(kind: str, hosts: tuple[str, ...]) -> None:
    assert KINDS[kind].parse(GOOD[kind]).hosts == hosts


def test_a_named_dns_server_is_such_a_host() -> None:
    assert KINDS["dns"].parse({"name": "contoso.com", "resolver": "DC1.contoso.com"}).hosts == ("dc1.contoso.com",)


@pytest.mark.parametrize(("kind", "values", "name", "said"), BAD)
def test_a_bad_value_is_named_with_what_to_give(kind: str, values: dict[str, Any], name: str, said: str) -> None:
    with pytest.raises(Unusable) as error:
        KINDS[kind].parse(values)

    assert set(error.value.errors) == {name}
    assert error.value.errors[name].startswith(said)
    assert f"{name}: " in str(error.value)


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(Unusable) as error:
        KINDS["tcp"].parse({"port": "x", "tls": "x"})

    assert set(error.value.errors) == {"host", "port", "tls"}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_says_in_words_what_it_does_and_wants(kind: str) -> None:
    assert KINDS[kind].name == kind
    assert all((KINDS[kind].label, KINDS[kind].does, KINDS[kind].passes))
    for parameter in KINDS[kind].parameters:
        assert parameter.label
        assert parameter.help.endswith(".")
        assert parameter.shape in {"text", "number", "switch", "choice", "lines", "long"}


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(kind=st.sampled_from(sorted(KINDS)), data=st.data())
def test_nothing_that_json_can_hold_breaks_the_reading(kind: str, data: st.DataObject) -> None:
    names = [parameter.name for parameter in KINDS[kind].parameters]
    values = data.draw(st.dictionaries(st.sampled_from(names), _json, max_size=5))

    parameters = read_or_refused(kind, {**GOOD[kind], **values})

    if isinstance(parameters, Unusable):
        assert set(parameters.errors) <= set(names)
    else:
        assert KINDS[kind].parse(KINDS[kind].as_json(parameters)) == parameters


def read_or_refused(kind: str, values: dict[str, Any]) -> Any:
    try:
        return KINDS[kind].parse(values)
    except Unusable as error:
        return error


@pytest.mark.parametrize(
    ("text", "host"),
    [
        (" SIP.Contoso.COM. ", "sip.contoso.com"),
        ("_sip._tls.contoso.com", "_sip._tls.contoso.com"),
        ("[::1]", "::1"),
        ("2001:0DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("10.0.0.7", "10.0.0.7"),
    ],
)
def test_hosts_have_one_form(text: str, host: str) -> None:
    assert host_name(text) == host


@pytest.mark.parametrize(
    "text", ["", ".", "a..b", "-a.b", "a b", "a/b", "a:1", "fe80::1%eth0", "x" * 64, "ü.de", "[a]"]
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Give a host name"):
        host_name(text)
