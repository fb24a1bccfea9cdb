"""What a rewrite changes, what it never touches, and what it leaves to a person (R20, R21, R23, R25)."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.rewriting.block import MeetingBlock, render_html, render_text
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.rewrite import Rewrite
from migrations_app.rewriting.undo import undo
from tests.support import samples
from tests.support.rewriting import rewrite
from tests.support.samples import BLOCK, NO_PHONE, NOW, SKYPE_URL, TEAMS_URL, calendar, document, event, paragraph

BEFORE = "Hello all,\nhere is the agenda; bring coffee, please – Åsa 👋\n\n"
AFTER = "\n\nSee you,\nAnna"


def rewritten(source: bytes, block: MeetingBlock = BLOCK, **options: Callable[[str], bool]) -> Rewrite:
    return rewrite(source, block, now=NOW, **options)


def reason(source: bytes, block: MeetingBlock = BLOCK, **options: Callable[[str], bool]) -> str:
    with pytest.raises(Declined) as caught:
        rewrite(source, block, now=NOW, **options)
    assert caught.value.detail.endswith(".")
    return caught.value.reason


@pytest.mark.parametrize(
    "old",
    [
        samples.skype_text(),
        samples.skype_text(row=samples.DOTS),
        samples.skype_text(url="https://sfb.fabrikam.com/meet/anna.lind/OLD1KEY2"),
        samples.skype_text(
            inside="[https://contoso.com/logo.png]\nAnslut via videosystem, numret följt av @contoso.com\n"
        ),
        samples.teams_text(),
        samples.teams_text(url="https://teams.microsoft.com/meet/12345678901234?p=aB3dE9", options="https://aka.ms/x"),
        samples.teams_text(url="https://gov.teams.microsoft.us/l/meetup-join/19%3ameeting_x%40thread.v2/0", options=""),
        samples.teams_text(
            url="https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fteams.microsoft.com%2Fl%2Fmeetup-join"
            "%2F19%253ameeting_QW5uYUNvbnRvc28x%2540thread.v2%2F0&data=05%7C01"
        ),
        samples.teams_text(
            url="https://urldefense.com/v3/__https://teams.microsoft.com/meet/12345678901234?p=x__;!!abc$", options=""
        ),
    ],
)
def test_r21_the_text_block_is_replaced_and_nothing_else(old: str) -> None:
    made = rewritten(calendar(event(text=BEFORE + old + AFTER)))
    assert samples.value(made.body, "DESCRIPTION") == BEFORE + render_text(BLOCK) + AFTER


def test_r21_the_html_block_is_replaced_as_a_balanced_piece() -> None:
    intro, outro = paragraph("Hello, <b>all</b>; Åsa 👋"), paragraph("&nbsp;") + paragraph("Anna")
    made = rewritten(calendar(event(html=document(intro, samples.skype_html(), outro))))
    assert samples.value(made.body, "X-ALT-DESC") == document(intro, render_html(BLOCK), outro)


def test_r21_text_and_html_are_replaced_together() -> None:
    made = rewritten(
        calendar(event(text=BEFORE + samples.teams_text(), html=document(paragraph("Hi"), samples.teams_html())))
    )
    assert samples.value(made.body, "DESCRIPTION") == BEFORE + render_text(BLOCK)
    assert samples.value(made.body, "X-ALT-DESC") == document(paragraph("Hi"), render_html(BLOCK))
    assert [span.property for span in made.spans] == ["DESCRIPTION", "X-ALT-DESC"]


@pytest.mark.parametrize(
    ("block", "row"),
    [
        (samples.teams_text(), samples.BAR),
        (samples.skype_text(), samples.WRAPPED_DOTS),
        (samples.skype_text(row=samples.DOTS), samples.DOTS),
    ],
)
@pytest.mark.parametrize(
    "below", ["\n{}", "\nConfidential. Contoso Ltd, Tel: +1 (425) 555-0100\n{}", "\n\nBye\n{}\n\nAnna\n{}\n"]
)
def test_r20_further_rows_below_a_complete_block_are_somebodys_own(block: str, row: str, below: str) -> None:
    after = below.format(*[row] * 2)
    made = rewritten(calendar(event(text=BEFORE + block + after)))
    assert samples.value(made.body, "DESCRIPTION") == BEFORE + render_text(BLOCK) + after


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"Hi<br>{samples.BAR}<br><a href='{TEAMS_URL}'>Join</a><br>{samples.BAR}<br>Bye", "Hi<br>{}<br>Bye"),
        (
            f"<div>Hi</div><div><div>{samples.BAR}</div><a href='{TEAMS_URL}'>Join</a><p>{samples.BAR}</div>",
            "<div>Hi</div><div>{}</div>",
        ),
        (
            f"<div><p>Hi<p>{samples.BAR}<p><a href='{TEAMS_URL}'>Join</a><p>{samples.BAR}<p>Bye</div>",
            "<div><p>Hi{}<p>Bye</div>",
        ),
        (
            f"<!-- {samples.BAR} is <b>no row -->Hi<br>{samples.BAR}\n<a href='{TEAMS_URL}'>Join</a>\n{samples.BAR}",
            None,
        ),
        (f"<x_div class='x_x_me-email-text'>{samples.BAR}<a href='{TEAMS_URL}'>J</a>{samples.BAR}</x_div>", "{}"),
        (f'<DIV CLASS="me-email-text"> {samples.BAR}<A HREF="{TEAMS_URL}">J</A>{samples.BAR}&nbsp;</DIV>', "{}"),
    ],
)
def test_r21_html_of_other_producers_is_cut_at_its_own_elements(old: str, new: str | None) -> None:
    source = calendar(event(html=old))
    if new is None:
        assert reason(source) == "needs-review"
    else:
        assert samples.value(rewritten(source).body, "X-ALT-DESC") == new.format(render_html(BLOCK))


BRIEN = "https://meet.contoso.com/o'brien/OLD1KEY2"
BRIENS_BLOCK = replace(BLOCK, join_url="https://meet.contoso.com/o'brien/NEW4KEY8")


@pytest.mark.parametrize(
    "old",
    [
        samples.skype_text(url=BRIEN),
        samples.skype_text(url=BRIEN).replace(f"<{BRIEN}>", f"'{BRIEN}'"),
        render_text(replace(BRIENS_BLOCK, help_url="")).replace("%27", "'"),
    ],
)
def test_r21_a_link_with_an_apostrophe_is_recognised_in_text(old: str) -> None:
    made = rewritten(calendar(event(text=BEFORE + old + AFTER)), BRIENS_BLOCK)
    assert samples.value(made.body, "DESCRIPTION") == BEFORE + render_text(BRIENS_BLOCK) + AFTER


@pytest.mark.parametrize(
    "old",
    [
        samples.skype_html(url=BRIEN),
        samples.skype_html(url=BRIEN.replace("'", "&#39;")),
        samples.skype_html().replace(f'"{SKYPE_URL}"', f"'{SKYPE_URL}'title='Join'"),
        samples.skype_html().replace(f'"{SKYPE_URL}"', f"'{SKYPE_URL}'"),
        samples.skype_html(url=BRIEN).replace(f'"{BRIEN}"', f"'{BRIEN.replace(chr(39), '&apos;')}'"),
    ],
)
def test_r21_quotes_around_a_link_are_told_from_an_apostrophe_in_it(old: str) -> None:
    made = rewritten(calendar(event(html=document(paragraph("Hi"), old))), BRIENS_BLOCK)
    assert samples.value(made.body, "X-ALT-DESC") == document(paragraph("Hi"), render_html(BRIENS_BLOCK))


def test_r20_a_link_with_an_apostrophe_outside_any_frame_is_left_to_a_person() -> None:
    assert reason(calendar(event(text=f"Join: {BRIEN}")), BRIENS_BLOCK) == "needs-review"
    assert reason(calendar(event(text=samples.skype_text(url=BRIEN) + f"\nOr: {BRIEN}'."))) == "needs-review"


def test_r21_html_that_was_not_escaped_is_not_escaped() -> None:
    lines = [*event()[:-6], "X-ALT-DESC;FMTTYPE=text/html:" + samples.skype_html().replace("\n", " "), "END:VEVENT"]
    made = rewritten(calendar(lines))
    assert render_html(BLOCK).encode() in samples.unfolded(made.body)


@pytest.mark.parametrize(("eol", "space"), [(b"\r\n", b" "), (b"\n", b"\t"), (b"\r\n", b"\t"), (b"\n", b" ")])
def test_r21_every_octet_outside_the_block_stays_folds_included(eol: bytes, space: bytes) -> None:
    html = document(paragraph("Åäö " * 60), samples.skype_html(), paragraph("👋 " * 60))
    source = calendar(
        event(text=BEFORE * 5 + samples.skype_text() + AFTER * 9, html=html), eol=eol, space=space, width=61
    )
    body = rewritten(source).body
    prefix = source[: source.index(b"DESCRIPTION:") + 330]
    assert body.startswith(
        prefix.replace(b"SEQUENCE:3", b"SEQUENCE:4").replace(b"20291201T080000Z", b"20300110T120000Z")
    )
    assert body.endswith(source[-400:])
    assert (b"\r\n" in body) == (eol == b"\r\n")
    assert body.count(b"\n") == body.count(eol)
    assert max(map(len, body.split(eol))) <= 75
    body.replace(eol + space, b"").decode()


def test_r21_long_lines_that_were_never_folded_stay_so() -> None:
    source = calendar(event(text=BEFORE + samples.skype_text() + AFTER * 50), width=10_000)
    body = rewritten(source).body
    assert samples.escape(AFTER * 50).encode() in body
    assert samples.value(body, "DESCRIPTION") == BEFORE + render_text(BLOCK) + AFTER * 50


def test_r21_names_may_be_folded_and_in_lower_case() -> None:
    source = calendar(event(text=samples.skype_text())).replace(
        b"DESCRIPTION:", b'desc\r\n ription;X-A="a:b;c,d";LANGUAGE=en:', 1
    )
    made = rewritten(source)
    assert samples.unfolded(made.body).count(b'description;X-A="a:b;c,d";LANGUAGE=en:====') == 1


def test_r21_alarms_are_never_touched() -> None:
    alarm = f"DESCRIPTION:{samples.escape(samples.skype_text())}"
    lines = event(text=samples.skype_text(), html=document(samples.skype_html()))
    lines[lines.index("DESCRIPTION:Reminder")] = alarm
    assert alarm.encode() in samples.unfolded(rewritten(calendar(lines)).body)


PROPERTIES = [
    f"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK:{SKYPE_URL}",
    "X-MICROSOFT-ONLINEMEETINGCONFLINK:conf:sip:anna@contoso.com\\;gruu\\;opaque=app:conf:focus:id:OLD1KEY2?conversation-id=x",
    "X-MICROSOFT-CONFERENCETELURI:tel:+12065550111\\,\\,1234567",
    "X-MICROSOFT-ONLINEMEETINGCONFERENCEID:1234567",
    "X-MICROSOFT-ONLINEMEETINGTOLLNUMBER:+12065550111",
    'X-MICROSOFT-ONLINEMEETINGINFORMATION:{"OnlineMeetingChannelId":null\\,"OnlineMeetingProvider":3}',
    "X-MICROSOFT-SCHEDULINGSERVICEUPDATEURL:https://api.scheduler.teams.microsoft.com/teams/x",
    "X-MICROSOFT-SKYPETEAMSMEETINGURL:",
    f"URL:{SKYPE_URL}",
    f"CONFERENCE;VALUE=URI;FEATURE=AUDIO:{SKYPE_URL}",
]


def test_r21_machine_read_properties_follow_the_block() -> None:
    body = rewritten(calendar(event(*PROPERTIES, text=samples.skype_text()))).body
    kept = [line for line in samples.unfolded(body).decode().split("\n") if line.startswith(("X-", "URL", "CONF"))]
    assert kept == [
        f"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK:{BLOCK.join_url}",
        "X-MICROSOFT-CONFERENCETELURI:tel:+14255550100\\,\\,7654321",
        "X-MICROSOFT-ONLINEMEETINGCONFERENCEID:7654321",
        "X-MICROSOFT-ONLINEMEETINGTOLLNUMBER:+14255550100",
        "X-MICROSOFT-SKYPETEAMSMEETINGURL:",
        f"URL:{BLOCK.join_url}",
        f"CONFERENCE;VALUE=URI;FEATURE=AUDIO:{BLOCK.join_url}",
    ]


def test_r21_without_phone_part_the_numbers_go() -> None:
    made = rewritten(calendar(event(*PROPERTIES, text=samples.skype_text())), NO_PHONE)
    assert b"TELURI" not in made.body
    assert b"CONFERENCEID" not in made.body
    assert b"TOLLNUMBER" not in made.body
    assert "Join by phone" not in samples.value(made.body, "DESCRIPTION")


def test_r21_other_links_in_url_and_conference_stay() -> None:
    links = ["URL:https://contoso.com/budget", "CONFERENCE;VALUE=URI:tel:+15555550100"]
    body = samples.unfolded(rewritten(calendar(event(*links, text=samples.skype_text()))).body).decode()
    assert all(link in body for link in links)


@pytest.mark.parametrize(
    "notes",
    [
        "https://contoso.sharepoint.com/sites/budget/Notes.one?web=1",
        "onenote:https://d.docs.live.net/notes/x.one",
        "https://www.onenote.com/section?id=1",
        "https://contoso-my.sharepoint.com/personal/o%27brien/Notes.one",
    ],
)
def test_r21_shared_notes_are_carried_over(notes: str) -> None:
    made = rewritten(calendar(event(text=samples.skype_text(inside=f"Shared notes <{notes}>\n"))))
    assert f"Shared notes <{notes}>" in samples.value(made.body, "DESCRIPTION")
    again = rewritten(made.body, NO_PHONE)
    assert f"Shared notes <{notes}>" in samples.value(again.body, "DESCRIPTION")


def test_r21_a_notes_link_with_an_apostrophe_is_carried_over() -> None:
    notes = "https://contoso.sharepoint.com/sites/o'brien/Notes.one?web=1"
    link = f'<a href="{notes}">Notes</a>'
    text, html = samples.skype_text(inside=f"Notes <{notes}>\n"), document(samples.skype_html(notes=link))
    made = rewritten(calendar(event(text=text, html=html)))
    assert notes.replace("'", "%27") in samples.value(made.body, "DESCRIPTION")
    assert notes.replace("'", "%27") in samples.value(made.body, "X-ALT-DESC")


def test_r21_a_notes_link_is_known_by_its_bookmark() -> None:
    notes = '<a href="https://wiki.contoso.com/a?b=1&amp;c=2">Meeting notes</a>'
    html = document(samples.skype_html(notes=notes))
    made = rewritten(calendar(event(text=samples.skype_text(), html=html)))
    assert "https://wiki.contoso.com/a?b=1&amp;c=2" in samples.value(made.body, "X-ALT-DESC")
    assert "https://wiki.contoso.com/a?b=1&c=2" in samples.value(made.body, "DESCRIPTION")


def test_r20_without_any_block_nothing_happens() -> None:
    consumer = f"{samples.DOTS}\nJoin online meeting<https://join.skype.com/aBcDeFgHiJkL>\n{samples.DOTS}"
    links = "https://fabrikam.com/issues/12345678 https://aka.ms/JoinTeamsMeeting https://bluejeans.com/479977594"
    for text in (links, consumer):
        assert reason(calendar(event(text=text, html=document(paragraph(text))))) == "other-service"
    for text in (
        None,
        "",
        "Hello",
        f"{samples.BAR}\nSign here\n{samples.BAR}",
        f"{samples.OWN_ROW}\nx\n{samples.OWN_ROW}",
    ):
        assert reason(calendar(event(text=text, html=document(paragraph(text or ""))))) == "no-block"


@pytest.mark.parametrize(
    "text",
    [
        samples.skype_text() + "\n\n" + samples.skype_text(),
        samples.skype_text() + "\n\n" + samples.teams_text(),
        samples.skype_text().removesuffix(samples.WRAPPED_DOTS),
        samples.teams_text().removeprefix(samples.BAR),
        samples.BAR + "\n" + samples.teams_text(),
        samples.teams_text().replace("For org", f"{samples.BAR}\nFor org"),
        f"{samples.BAR}\nJoin<{TEAMS_URL}>\n{samples.BAR}\n+1 425 555 0100,,200000087#\n{samples.BAR}",
        f"Join: <{TEAMS_URL}>",
        f"Join: {SKYPE_URL}?sl=1",
        "See [!OC([1033])!]",
        f"Dial in at {BLOCK.join_url.replace('NEW4KEY8', 'GONE5KEY')}",
        f"Also: {samples.OTHER_SKYPE_URL}\n" + samples.skype_text(),
        samples.skype_text() + f"\nOld link: {SKYPE_URL}",
        "-----Original Appointment-----\nFrom: Bo\n\n" + samples.skype_text(),
        "See what Bo sent.\n\n*~*~*~*~*~*~*~*~*~*\n\n" + samples.skype_text(),
        samples.skype_text(inside="Or https://contoso.zoom.us/j/123456789\n"),
        samples.skype_text(inside="Or https://meet.google.com/abc-defg-hij\n"),
        samples.skype_text(inside=f"Or <{TEAMS_URL}>\n"),
        samples.skype_text(inside=f"Or <{samples.OTHER_SKYPE_URL}?sl=1>\n"),
        samples.teams_text().replace("Passcode", f"{SKYPE_URL}?sl=1"),
        samples.skype_text().replace(SKYPE_URL, "https://contoso.com/gone").replace("?sl=1", ""),
        "Regards, Anna " + samples.teams_text(),
        samples.teams_text() + " ok?",
        "> " + samples.teams_text(),
        "a\\n" + samples.teams_text(),
        samples.teams_text()[:-5],
        samples.skype_text(inside="." * 137 + "\n"),
    ],
)
def test_r20_a_damaged_or_ambiguous_block_is_never_guessed_at(text: str) -> None:
    assert reason(calendar(event(text=text))) == "needs-review"


@pytest.mark.parametrize(
    "html",
    [
        document(paragraph("Hi"), samples.skype_html()).replace("</b></p>", "</p>", 1),
        document(samples.skype_html()).replace("<p class=MsoNormal><a name", "<p class=MsoNormal><a title='x name", 1),
        document(samples.skype_html()).replace(samples.DOTS + "</span><o:p>", samples.DOTS + "</span>Keep me<o:p>"),
        document(samples.skype_html()).replace("<p class=MsoNormal style='text-autospace:none'>", "<p>Keep me ", 1),
        document(samples.skype_html()).replace(
            samples.DOTS + "</span><o:p>", samples.DOTS + "</span><img src=cid:1><o:p>"
        ),
        document(
            f"<table><tr><td>{samples.BAR}</td></tr><tr><td>{TEAMS_URL}</td></tr><tr><td>{samples.BAR}</td></tr></table>"
        ),
        document(f"<style>{samples.BAR}</style><a href='{TEAMS_URL}'>J</a><div>{samples.BAR}</div>"),
        document(f"<a title='{samples.BAR}' href='{TEAMS_URL}'>J</a><div>{samples.BAR}</div>"),
        document(samples.skype_html()).replace(samples.DOTS, "." * 68 + "<hr>" + "." * 69),
        document(samples.skype_html(), paragraph(f"<a href='{SKYPE_URL}'>again</a>")),
    ],
)
def test_r20_html_that_cannot_be_cut_safely_is_left_to_a_person(html: str) -> None:
    assert reason(calendar(event(html=html))) == "needs-review"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<div>" * 60_000, "</div>" * 60_000),
        ("<div>" * 20_000 + "</p>" * 300_000, "</div>" * 20_000),
        ("<p>Hi<table><tr><td>" + "<b>" * 40_000 + "<div></div>" * 100_000 + "</b>" * 40_000, "</table>"),
    ],
    ids=["nested", "end tags", "cell"],
)
def test_r21_markup_nested_beyond_reason_is_read_once(before: str, after: str) -> None:
    made = rewritten(calendar(event(html=before + samples.skype_html() + after), width=10**7))
    assert samples.value(made.body, "X-ALT-DESC") == before + render_html(BLOCK) + after


def test_r21_formatting_that_is_never_closed_above_the_block_does_no_harm() -> None:
    before = "<p>" + "<b>" * 60_000
    made = rewritten(calendar(event(html=before + samples.teams_html()), width=10**7))
    assert samples.value(made.body, "X-ALT-DESC") == before + render_html(BLOCK)


LINES = f"{samples.BAR}<br><a href='{TEAMS_URL}'>Join</a><br>{samples.BAR}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"<p>{LINES}</p>Bye", "{}Bye"),
        (f"<p>Hi<br>{LINES}</p>Bye", "<p>Hi<br></p>{}Bye"),
        (f"<p lang=en>{LINES}<br>Bye</p>", "{}<p lang=en><br>Bye</p>"),
        (f"<p><i class=x>Hi<br>{LINES}<br>Bye</i></p>", "<p><i class=x>Hi<br></i></p>{}<p><i class=x><br>Bye</i></p>"),
        (f"<p><table><tr><td>Hi<br>{LINES}</table>", "<p><table><tr><td>Hi<br>{}</table>"),
    ],
)
def test_r21_a_paragraph_around_the_block_ends_above_it_and_begins_anew_below(old: str, new: str) -> None:
    made = rewritten(calendar(event(html=old)))
    assert samples.value(made.body, "X-ALT-DESC") == new.format(render_html(BLOCK))
    assert samples.value(undo(made.body, made.spans, now=NOW).body, "X-ALT-DESC") == old
    assert reason(made.body) == "already-current"


def test_r20_a_paragraph_with_too_much_formatting_is_not_divided() -> None:
    assert reason(calendar(event(html=f"<p>{'<b>' * 20}Hi<br>{LINES}"))) == "needs-review"


@pytest.mark.parametrize("inside", ["[https://" * 100_000, "https://" + "dialin." * 100_000 + ":x/anna/OLD1KEY2"])
def test_hostile_links_are_answered(inside: str) -> None:
    own = render_text(replace(BLOCK, help_url="")).replace("Seattle", inside)
    made = rewritten(calendar(event(text=own), width=10**7))
    assert samples.value(made.body, "DESCRIPTION") == render_text(BLOCK)
    made = rewritten(calendar(event(text=samples.skype_text(inside=f"{inside}\n")), width=10**7))
    assert samples.value(made.body, "DESCRIPTION") == render_text(BLOCK)


def test_r20_text_and_html_must_tell_the_same() -> None:
    other = document(samples.skype_html(url=samples.OTHER_SKYPE_URL))
    assert reason(calendar(event(text=samples.skype_text(), html=other))) == "needs-review"
    assert reason(calendar(event(text=samples.skype_text(), html=document(paragraph("Agenda"))))) == "needs-review"
    assert reason(calendar(event(text="Agenda", html=document(samples.skype_html())))) == "needs-review"
    assert reason(calendar(event(text=f"Join {TEAMS_URL}", html=document(samples.teams_html())))) == "needs-review"


def test_r20_a_blank_twin_is_no_contradiction() -> None:
    blank = document(paragraph("&nbsp;"))
    made = rewritten(calendar(event(text=samples.skype_text(), html=blank)))
    assert samples.value(made.body, "X-ALT-DESC") == blank
    made = rewritten(calendar(event(text=" \n \n", html=document(samples.skype_html()))))
    assert samples.value(made.body, "DESCRIPTION") == " \n \n"


@pytest.mark.parametrize(
    "line",
    [
        f"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK:{samples.OTHER_SKYPE_URL}",
        "X-MICROSOFT-ONLINEMEETINGCONFLINK:conf:sip:a@contoso.com\\;gruu\\;opaque=app:conf:focus:id:ELSE3KEY",
        f"X-MICROSOFT-SKYPETEAMSMEETINGURL:{TEAMS_URL}",
        "X-MICROSOFT-ONLINEMEETINGCONFLINK:conf:sip:a@contoso.com\\;opaque=app:conf:focus:id:teams:2:0!19:meeting_x-thread.v2!o!t",
    ],
)
def test_r20_a_block_of_another_meeting_is_pasted(line: str) -> None:
    assert reason(calendar(event(line, text=samples.skype_text()))) == "pasted-block"


def test_r20_a_teams_block_of_another_meeting_is_pasted() -> None:
    other = samples.TEAMS_OPTIONS.replace(samples.ANNA, samples.TENANT)
    assert reason(calendar(event(text=samples.teams_text(options=other)))) == "pasted-block"
    other = samples.TEAMS_OPTIONS.replace("QW5u", "Qm9i")
    assert reason(calendar(event(text=samples.teams_text(options=other)))) == "pasted-block"
    focus = "X-MICROSOFT-ONLINEMEETINGCONFLINK:conf:sip:a@contoso.com\\;gruu\\;opaque=app:conf:focus:id:teams:2:0!"
    focus += "19:meeting_{}-thread.v2!o!t"
    assert reason(calendar(event(focus.format("Qm9i"), text=samples.teams_text()))) == "pasted-block"
    made = rewritten(calendar(event(focus.format("QW5uYUNvbnRvc28x"), text=samples.teams_text())))
    assert b"CONFLINK" not in made.body


def test_r20_a_link_of_another_person_is_pasted() -> None:
    asked = []

    def someone_else(user: str) -> bool:
        asked.append(user)
        return user == "bo"

    theirs = samples.skype_text(url="https://meet.contoso.com/bo/OLD1KEY2")
    assert reason(calendar(event(text=theirs)), belongs_to_someone_else=someone_else) == "pasted-block"
    rewritten(calendar(event(text=samples.skype_text())), belongs_to_someone_else=someone_else)
    former = samples.skype_text(url="https://meet.contoso.com/anna.maiden/OLD1KEY2")
    rewritten(calendar(event(text=former)), belongs_to_someone_else=someone_else)
    assert asked == ["bo", "anna.maiden"]


def test_r20_an_own_block_of_another_meeting_is_pasted() -> None:
    copied = render_text(replace(BLOCK, join_url="https://meet.contoso.com/anna/ELSE3KEY"))
    assert reason(calendar(event(text=copied))) == "pasted-block"


def test_r25_a_second_run_changes_nothing() -> None:
    source = calendar(
        event(*PROPERTIES, text=BEFORE + samples.skype_text() + AFTER, html=document(samples.skype_html()))
    )
    assert reason(rewritten(source).body) == "already-current"


def test_r25_what_a_mail_server_does_to_the_block_is_no_change() -> None:
    body = rewritten(calendar(event(text=samples.skype_text(), html=document(samples.skype_html())), width=9999)).body
    html = samples.value(body, "X-ALT-DESC")
    text = samples.value(body, "DESCRIPTION")
    cleaned = (
        re.sub(r' style="[^"]*"', "", html)
        .replace("mms-meeting-block", "x_mms-meeting-block")
        .replace("><div", ">\n<div")
    )
    joined = text.replace(" <", "<").replace("\n\n", "\n \n")
    assert reason(calendar(event(text=joined, html=cleaned))) == "already-current"
    assert len(rewritten(calendar(event(text=joined, html=cleaned)), NO_PHONE).spans) == 2


def test_r25_a_line_like_the_own_row_before_the_block_does_no_harm() -> None:
    intro = f"Agenda\n{samples.OWN_ROW}\nBudget\n"
    body = rewritten(calendar(event(text=intro + samples.skype_text()))).body
    assert reason(body) == "already-current"
    assert samples.value(rewritten(body, NO_PHONE).body, "DESCRIPTION") == intro + render_text(NO_PHONE)


def test_r20_a_line_like_the_own_row_after_the_block_leaves_it_to_a_person() -> None:
    assert reason(calendar(event(text=f"{render_text(BLOCK)}\nBudget\n{samples.OWN_ROW}"))) == "needs-review"


def test_r25_a_changed_setting_rewrites_the_own_block() -> None:
    body = rewritten(calendar(event(text=BEFORE + samples.teams_text(), html=document(samples.teams_html())))).body
    made = rewritten(
        body, replace(BLOCK, language="es", footer_text="Contoso, S.A.; líneas\n" + "=" * 72 + "\n" + "." * 200)
    )
    assert made.sequence == 5
    assert "Unirse por teléfono" in samples.value(made.body, "DESCRIPTION")
    assert (
        reason(
            made.body,
            replace(BLOCK, language="es-MX", footer_text="Contoso, S.A.; líneas\n" + "=" * 72 + "\n" + "." * 200),
        )
        == "already-current"
    )


def series(*overrides: list[str], text: str = BEFORE + samples.skype_text()) -> bytes:
    return calendar(event("RRULE:FREQ=WEEKLY;COUNT=20", *PROPERTIES[:1], text=text), *overrides)


def override(day: str, *lines: str, text: str | None = None) -> list[str]:
    return event(
        f"RECURRENCE-ID:{day}T100000Z",
        *lines,
        text=text,
        start=f"DTSTART:{day}T140000Z",
        end=f"DTEND:{day}T150000Z",
        sequence=7,
    )


def test_r23_master_and_overrides_with_a_block_of_their_own_are_updated() -> None:
    body = rewritten(series(override("20300308", text="Moved!\n" + samples.skype_text()))).body
    assert samples.value(body, "DESCRIPTION", 0) == BEFORE + render_text(BLOCK)
    assert samples.value(body, "DESCRIPTION", 1) == "Moved!\n" + render_text(BLOCK)
    assert samples.values(body, "SEQUENCE") == ["8", "8"]


def test_r23_an_override_without_description_gets_none() -> None:
    made = rewritten(series(override("20300308", *PROPERTIES[:1])))
    assert [line for line in samples.without_stamps(made.body) if line.startswith(b"DESCRIPTION")].count(
        b"DESCRIPTION:Reminder"
    ) == 2
    assert len([line for line in samples.without_stamps(made.body) if line.startswith(b"DESCRIPTION")]) == 3
    assert samples.values(made.body, "X-MICROSOFT-ONLINEMEETINGEXTERNALLINK") == [BLOCK.join_url] * 2
    assert [span.recurrence_id for span in made.spans] == ["", "", "20300308T100000Z"]


def test_r23_an_override_with_the_join_button_of_another_meeting_is_left_to_a_person() -> None:
    other = f"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK:{samples.OTHER_SKYPE_URL}"
    assert reason(series(override("20300308", other))) == "needs-review"


@pytest.mark.parametrize("zone", ["", "Pacific Standard Time", "Nowhere/Known"])
def test_r23_overrides_in_the_past_stay_octet_for_octet(zone: str) -> None:
    past = override("20300103", text=samples.skype_text()[:-20])
    if zone:
        past = [line.replace("DTSTART:20300103T140000Z", f'DTSTART;TZID="{zone}":20300103T140000') for line in past]
    raw = calendar(past)
    source = series(past)
    body = rewritten(source).body
    assert raw[raw.index(b"BEGIN:VEVENT") : raw.index(b"END:VCALENDAR")] in body
    assert samples.values(body, "SEQUENCE") == ["8", "7"]


def test_r23_one_damaged_occurrence_leaves_the_whole_series_to_a_person() -> None:
    assert reason(series(override("20300308", text=samples.skype_text()[:-20]))) == "needs-review"
    other = samples.skype_text(url=samples.OTHER_SKYPE_URL)
    assert reason(series(override("20300308", text=other))) == "needs-review"


def test_r23_only_the_override_may_have_a_block() -> None:
    body = rewritten(
        series(override("20300308", text=samples.skype_text()), text="Agenda").replace(b"EXTERNALLINK", b"NOTHING")
    ).body
    assert samples.value(body, "DESCRIPTION", 0) == "Agenda"
    assert samples.value(body, "DESCRIPTION", 1) == render_text(BLOCK)


def test_it_marks_the_change_as_newer_than_everything() -> None:
    stamps = [
        "X-MICROSOFT-CDO-APPT-SEQUENCE:9",
        "LAST-MODIFIED:20291201T080000Z",
        "X-MS-OLK-APPTLASTSEQUENCE:2",
        "X-MS-OLK-APPTSEQTIME:20291201T080000Z",
    ]
    made = rewritten(calendar(event(*stamps, text=samples.skype_text())))
    assert made.sequence == 10
    for name in ("SEQUENCE", "X-MICROSOFT-CDO-APPT-SEQUENCE", "X-MS-OLK-APPTLASTSEQUENCE"):
        assert samples.values(made.body, name) == ["10"]
    for name in ("DTSTAMP", "LAST-MODIFIED", "X-MS-OLK-APPTSEQTIME"):
        assert samples.values(made.body, name) == ["20300110T120000Z"]
    assert [span.property for span in made.spans] == ["DESCRIPTION"]


def test_it_writes_sequence_and_dtstamp_where_there_were_none() -> None:
    lines = [line for line in event(text=samples.skype_text(), sequence=None) if not line.startswith("DTSTAMP")]
    made = rewritten(calendar(lines))
    assert samples.values(made.body, "SEQUENCE") == ["1"]
    assert samples.values(made.body, "DTSTAMP") == ["20300110T120000Z"]
    assert samples.values(made.body, "X-MICROSOFT-CDO-APPT-SEQUENCE") == []


def test_it_declines_a_sequence_that_cannot_grow() -> None:
    assert reason(calendar(event(text=samples.skype_text(), sequence=2**31 - 1))) == "needs-review"


def test_it_takes_the_time_in_any_zone() -> None:
    with pytest.raises(UnreadableCalendar):
        rewrite(b"", BLOCK, now=NOW)
    local = datetime.fromisoformat("2030-01-10T14:00:00+02:00")
    made = rewrite(calendar(event(text=samples.skype_text())), BLOCK, now=local)
    assert samples.values(made.body, "DTSTAMP") == ["20300110T120000Z"]


@pytest.mark.parametrize("width", [20, 75, 5000])
def test_undo_puts_everything_back(width: int) -> None:
    source = calendar(
        event(
            "RRULE:FREQ=WEEKLY",
            *PROPERTIES,
            text=BEFORE + samples.skype_text() + AFTER,
            html=document(samples.skype_html()),
        ),
        override("20300308", *PROPERTIES[:2], text="Moved " + "\n" + samples.skype_text()),
        width=width,
    )
    made = rewritten(source)
    back = undo(made.body, made.spans, now=datetime(2030, 1, 11, tzinfo=UTC)).body
    assert sorted(samples.without_stamps(back)) == sorted(samples.without_stamps(source))
    assert samples.values(back, "SEQUENCE") == ["9", "9"]
    assert samples.values(back, "DTSTAMP") == ["20300111T000000Z"] * 2


def test_undo_leaves_alone_what_was_changed_since() -> None:
    made = rewritten(calendar(event(*PROPERTIES, text=BEFORE + samples.skype_text())))
    for changed in (
        made.body.replace(b"Join the online meeting", b"Join the other meeting."),
        made.body.replace(b"URL:https://meet.contoso.com", b"URL:https://meet.fabrikam.com"),
        made.body.replace(b"END:VEVENT", b"X-MICROSOFT-ONLINEMEETINGCONFLINK:conf:sip:new\r\nEND:VEVENT"),
        calendar(event(text="Nothing left")),
    ):
        with pytest.raises(Declined) as caught:
            undo(changed, made.spans, now=NOW)
        assert caught.value.reason == "needs-review"


def test_undo_keeps_what_was_written_around_the_block_since() -> None:
    made = rewritten(calendar(event(text=BEFORE + samples.skype_text())))
    changed = made.body.replace(b"here is the agenda", b"here is the new agenda")
    back = undo(changed, made.spans, now=NOW).body
    assert samples.value(back, "DESCRIPTION") == BEFORE.replace("the agenda", "the new agenda") + samples.skype_text()


def test_r23_undo_leaves_overrides_that_are_over_by_then() -> None:
    made = rewritten(series(override("20300308", text=samples.skype_text())))
    back = undo(made.body, made.spans, now=datetime(2030, 3, 9, tzinfo=UTC)).body
    assert samples.value(back, "DESCRIPTION", 0) == BEFORE + samples.skype_text()
    assert samples.value(back, "DESCRIPTION", 1) == render_text(BLOCK)
    with pytest.raises(Declined):
        undo(made.body, made.spans[2:], now=datetime(2030, 3, 9, tzinfo=UTC))


@pytest.mark.parametrize(
    "line",
    [
        "DESCRIPTION;ENCODING=QUOTED-PRINTABLE:Join=0D=0A",
        f'DESCRIPTION;ALTREP="data:text/html,%3Ca%20href%3D%22{TEAMS_URL.replace("%", "%25")}%22%3EJoin":Agenda',
        "STYLED-DESCRIPTION;VALUE=URI;FMTTYPE=text/html:https://contoso.com/agenda.html",
        f"DESCRIPTION:{samples.escape(samples.skype_text())}",
    ],
)
def test_r20_descriptions_in_unusual_forms_are_left_to_a_person(line: str) -> None:
    assert reason(calendar(event(line, text=samples.skype_text()))) == "needs-review"


def test_r21_a_styled_description_is_rewritten_like_the_others() -> None:
    line = f"STYLED-DESCRIPTION;VALUE=TEXT;FMTTYPE=text/html:{samples.escape(samples.skype_html())}"
    made = rewritten(calendar(event(line, text=samples.skype_text())))
    assert f"text/html:{samples.escape(render_html(BLOCK))}".encode() in samples.unfolded(made.body)


def test_r20_several_meetings_in_one_object_are_left_to_a_person() -> None:
    one, two = event(text=samples.skype_text()), event(text=samples.skype_text(), uid="meeting-2@contoso.com")
    assert reason(calendar(one, two)) == "needs-review"
    assert reason(calendar(one, one)) == "needs-review"


def test_undo_puts_back_a_property_that_stood_twice() -> None:
    twice = ["X-MICROSOFT-CONFERENCETELURI:tel:+12065550111"] * 2
    source = calendar(event(*twice, text=samples.skype_text()))
    made = rewritten(source)
    back = undo(made.body, made.spans, now=NOW).body
    assert sorted(samples.without_stamps(back)) == sorted(samples.without_stamps(source))


def test_r25_rows_that_only_stand_around_a_block_stay_and_change_nothing() -> None:
    row = samples.DOTS
    made = rewritten(calendar(event(text=f"{row}\n{samples.teams_text()}\n{row}\nBye")))
    assert samples.value(made.body, "DESCRIPTION") == f"{row}\n{render_text(BLOCK)}\n{row}\nBye"
    assert reason(made.body) == "already-current"
