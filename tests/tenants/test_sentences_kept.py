"""Sentences are written once and read in the language of each reader, from wherever they were kept."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime

import pytest
from django.template import Context, Template
from django.utils.text import capfirst
from django.utils.translation import override, trans_real

from migrations_app.models import BulkAction, Run
from tenants_app import bulk
from tenants_app.audit import Actor, Channel, entry, record
from tenants_app.changes.accounts import note
from tenants_app.models import AccountEvent, AuditEntry, ConferencingUser, Tenant
from tenants_app.sentences import (
    LONGEST_VALUE,
    Sentence,
    english,
    one_after_the_other,
    read,
    sentence,
    sentence_plural,
    stored,
    whole,
    with_detail,
)

SPANISH = {
    "The server at %(host)s refuses it": "El servidor %(host)s lo rechaza",
    "On %(day)s: %(what)s": "El %(day)s: %(what)s",
    "No servers left": "No queda ninguno",
    "Broken %(host)s": "Roto %(nowhere)s",
    "refused %(host)s": "rechazado %(host)s",
    "It failed.": "Falló.",
    "Nobody answers.": "Nadie responde.",
    "the server is off": "el servidor está apagado",
    ("%(n)s server", 0): "%(n)s servidor",
    ("%(n)s server", 1): "%(n)s servidores",
    ("%(n)s server", 2): "%(n)s servidores",
}


@pytest.fixture(autouse=True)
def spanish(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few sentences more in Django's own catalogue."""
    catalogue = trans_real.translation("es")._catalog._catalogs[0]
    for key, said in SPANISH.items():
        monkeypatch.setitem(catalogue, key, said)


def in_spanish(text: str) -> str:
    with override("es"):
        return str(text)


def counted_servers(number: int) -> Sentence:
    return sentence_plural("%(n)s server", "%(n)s servers", number)


REFUSED = sentence("The server at %(host)s refuses it", host="dav.contoso.com")


def test_as_text_it_is_english_and_printed_it_is_in_the_language_of_who_reads() -> None:
    with override("es"):
        assert REFUSED == "The server at dav.contoso.com refuses it"
        assert english(REFUSED) == "The server at dav.contoso.com refuses it"
        said = "El servidor dav.contoso.com lo rechaza"
        assert (str(REFUSED), f"{REFUSED}", "%s" % REFUSED) == (said, said, said)  # noqa: UP031 - each way to print
        assert f"{said}." == REFUSED + "."
        assert f"» {said}" == "» " + REFUSED
        assert Template("{{ it }}").render(Context({"it": REFUSED})) == said
    assert str(REFUSED) == "The server at dav.contoso.com refuses it"


def test_what_it_names_is_escaped_on_pages() -> None:
    hostile = sentence("The server at %(host)s refuses it", host="<b>")
    with override("es"):
        assert Template("{{ it }}").render(Context({"it": hostile})) == "El servidor &lt;b&gt; lo rechaza"


def test_numbers_and_times_are_written_as_each_language_does() -> None:
    counted = sentence_plural("%(n)s server", "%(n)s servers", 12345)
    assert (counted, in_spanish(counted)) == ("12,345 servers", "12.345 servidores")
    assert in_spanish(sentence_plural("%(n)s server", "%(n)s servers", 1)) == "1 servidor"
    dated = sentence("On %(day)s: %(what)s", day=date(2026, 3, 5), what=counted)
    assert (dated, in_spanish(dated)) == (
        "On 5 March 2026: 12,345 servers",
        "El 5 de marzo de 2026: 12.345 servidores",
    )
    moment = sentence("On %(day)s: %(what)s", day=datetime(2026, 3, 5, 14, 30, tzinfo=UTC), what="it")
    assert moment == "On 5 Mar 2026, 14:30 UTC: it"


@pytest.mark.parametrize(
    "made",
    [
        REFUSED,
        sentence_plural("%(n)s server", "%(n)s servers", 3),
        sentence("On %(day)s: %(what)s", day=date(2026, 3, 5), what=REFUSED),
        sentence("On %(day)s: %(what)s", day=datetime(2026, 3, 5, 14, 30, tzinfo=UTC), what="it"),
        one_after_the_other(REFUSED, "", "As it is."),
        sentence("No servers left"),
        Sentence(""),
    ],
)
def test_what_is_kept_says_the_same_in_every_language(made: Sentence) -> None:
    for again in (read(stored(made)), pickle.loads(pickle.dumps(made))):  # noqa: S301 - our own
        assert (again, str(again), in_spanish(again)) == (made, str(made), in_spanish(made))


def test_several_follow_one_another_in_one_language() -> None:
    both = one_after_the_other(REFUSED, sentence("No servers left"))
    assert in_spanish(both) == "El servidor dav.contoso.com lo rechaza No queda ninguno"


def test_what_cannot_be_said_is_said_in_english() -> None:
    assert in_spanish(sentence("Broken %(host)s", host="it")) == "Broken it"
    assert in_spanish(read("Cut off\x1f[“")) == "Cut off"
    assert in_spanish(read("No servers left")) == "No queda ninguno"


def test_a_text_of_somebody_else_cannot_pass_for_one() -> None:
    forged = 'Nothing\x1f["The server at %(host)s refuses it",{"host":"me"}]'
    assert in_spanish(read(stored(forged))).startswith("Nothing [")


def test_a_part_is_of_one_language_and_the_whole_stays_what_it_is() -> None:
    assert in_spanish(REFUSED[:500]) == "El servidor dav.contoso.com lo rechaza"
    assert REFUSED[:10] == "The server"
    with override("es"):
        assert REFUSED[:11] == "El servidor"
        assert capfirst(sentence("refused %(host)s", host="it")) == "Rechazado it"


def test_a_value_is_bounded() -> None:
    long = sentence("The server at %(host)s refuses it", host="x" * 5000)
    assert len(long) < LONGEST_VALUE + 50
    assert in_spanish(long).endswith("…  lo rechaza".replace("  ", " "))


def test_a_row_keeps_it_however_it_is_written_and_read(tenant: Tenant, anna: ConferencingUser) -> None:
    change = AuditEntry.objects.create(tenant=tenant, actor="vera", action="change user", target="it")
    AuditEntry.objects.filter(pk=change.pk).update(consequence=REFUSED)
    run = Run.objects.create(tenant=tenant, user=anna, due_at=change.at, requested_by="vera", reasons=[["R9", REFUSED]])
    run.last_error_detail = REFUSED
    bulk.update([run], ["last_error_detail"])
    kept = [
        AuditEntry.objects.get(pk=change.pk).consequence,
        AuditEntry.objects.values_list("consequence", flat=True).get(pk=change.pk),
        Run.objects.get(pk=run.pk).last_error_detail,
        Run.objects.get(pk=run.pk).reasons[0][1],
    ]
    assert [*map(in_spanish, kept)] == ["El servidor dav.contoso.com lo rechaza"] * 4
    assert AuditEntry.objects.filter(consequence__icontains="contoso.com refuses").exists()


def test_of_what_is_in_json_also_the_names_are_sentences(tenant: Tenant) -> None:
    none_left = sentence("No servers left")
    kept = {REFUSED: [REFUSED, none_left, str(none_left)]}
    action = BulkAction.objects.create(tenant=tenant, kind="move", sentences=kept)
    [(name, [said, short, other])] = BulkAction.objects.get(pk=action.pk).sentences.items()
    assert (in_spanish(name), in_spanish(said), short) == (in_spanish(REFUSED), in_spanish(REFUSED), none_left)
    assert (in_spanish(short), in_spanish(other)) == ("No queda ninguno", "No servers left")


def test_all_of_an_audit_entry_is_read_in_the_language_of_who_reads_but_names(tenant: Tenant) -> None:
    kept = entry(
        tenant,
        Actor("vera", Channel.SCREEN),
        "change user",
        counted_servers(2),
        after={"chosen by": REFUSED, "x": "Off"},
    )
    kept.save()
    entry(tenant, Actor("vera", Channel.SCREEN), "change user", "No servers left").save()

    counted, named = AuditEntry.objects.filter(actor="vera").order_by("pk").values_list("target", "after")
    assert (counted[0], in_spanish(counted[0])) == ("2 servers", "2 servidores")
    assert (in_spanish(counted[1]["chosen by"]), counted[1]["x"]) == (in_spanish(REFUSED), "Off")
    assert in_spanish(named[0]) == "No servers left"
    assert AuditEntry.objects.filter(target="No servers left").exists()


@pytest.mark.parametrize(
    ("put_together", "in_english", "there"),
    [
        (
            with_detail(sentence("It failed."), sentence("Nobody answers.")),
            "It failed: nobody answers.",
            "Falló: nadie responde.",
        ),
        (with_detail(sentence("It failed."), "RRULE is odd"), "It failed: RRULE is odd.", "Falló: RRULE is odd."),
        (whole(sentence("the server is off")), "The server is off.", "El servidor está apagado."),
    ],
)
def test_a_detail_and_a_clause_are_put_together_in_the_language_of_who_reads(
    put_together: Sentence, in_english: str, there: str
) -> None:
    kept = read(stored(put_together))

    assert (english(kept), in_spanish(kept), in_spanish(put_together)) == (in_english, there, there)


@pytest.mark.parametrize(
    "behind",
    [
        '["%(a)s",5]',
        "[5,{}]",
        "[null,{}]",
        '"abc"',
        '["a",["b"]]',
        '["a %(x)s",{"x":[1]}]',
        '["a %(x)s",{"x":null}]',
        '["a",{},"many","some"]',
        '[["a"],"?"]',
        '[["a"],":"]',
        "[" * 100_000,
    ],
)
def test_a_damaged_row_says_what_it_says_in_english(behind: str) -> None:
    assert in_spanish(read(f"Nobody looked\x1f{behind}")) == "Nobody looked"


def test_in_json_a_text_of_somebody_else_cannot_pass_for_one(tenant: Tenant) -> None:
    forged = 'Nothing\x1f["The server at %(host)s refuses it",{"host":"me"}]'
    action = BulkAction.objects.create(tenant=tenant, kind="move", sentences={forged: [forged]})
    [(name, [said])] = BulkAction.objects.get(pk=action.pk).sentences.items()
    assert in_spanish(name) == in_spanish(said) == forged.replace("\x1f", " ")


@pytest.mark.parametrize("bad", ["\0", "\ud800"])
def test_what_no_database_takes_is_kept_as_a_sign_of_it(tenant: Tenant, bad: str) -> None:
    refused = sentence("The server at %(host)s refuses it", host=f"a{bad}b")
    several = one_after_the_other(refused, f"It said {bad}.")
    row = AuditEntry.objects.create(tenant=tenant, actor="vera", action="x", target="it", consequence=several)
    action = BulkAction.objects.create(tenant=tenant, kind="move", sentences={"said": [refused, bad]})
    assert (
        in_spanish(AuditEntry.objects.get(pk=row.pk).consequence) == "El servidor a\ufffdb lo rechaza It said \ufffd."
    )
    said, plain = BulkAction.objects.get(pk=action.pk).sentences["said"]
    assert (in_spanish(said), plain) == ("El servidor a\ufffdb lo rechaza", "\ufffd")


def test_a_long_sentence_of_somebody_who_speaks_spanish_is_kept_as_one(tenant: Tenant) -> None:
    long = one_after_the_other(*[sentence("The server at %(host)s refuses it", host=each * 390) for each in "ab"])
    with override("es"):
        record([entry(tenant, Actor("vera", AuditEntry.Channel.SCREEN), "change tenant", "it", consequence=long)])
        note("sign in", Actor("vera", AuditEntry.Channel.SCREEN), name="vera", detail=long)
    for kept in (AuditEntry.objects.get(action="change tenant").consequence, AccountEvent.objects.get().detail):
        assert kept == long
        assert in_spanish(kept).count("lo rechaza") == 2
