"""How the block reads, in three languages, whatever administrators type."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from migrations_app.rewriting.block import MeetingBlock, PhoneNumber, render_html, render_text, without_logo
from migrations_app.rewriting.errors import Declined
from tests.support import samples
from tests.support.rewriting import rewrite
from tests.support.samples import BLOCK, NO_PHONE, OWN_ROW

EVERYTHING = replace(
    BLOCK,
    legal_url="https://contoso.com/legal?a=1&b=2",
    logo_url="https://contoso.com/logo.png",
    footer_text="Welcome, all;\r\nuse *6 to mute <quietly>",
)


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.targets: list[str] = []
        self.rows: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.targets += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if data == OWN_ROW:
            self.rows.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


@pytest.mark.parametrize(
    ("language", "phone"),
    [
        ("en", "Join by phone"),
        ("es-MX", "Unirse por teléfono"),
        ("it_IT", "Partecipa per telefono"),
        ("tlh", "Join by phone"),
    ],
)
def test_it_speaks_the_organizers_language_or_english(language: str, phone: str) -> None:
    block = replace(EVERYTHING, language=language)
    assert phone in render_text(block)
    assert phone in read(render_html(block)).text


def test_it_frames_text_and_html_by_rows_of_its_own() -> None:
    lines = render_text(EVERYTHING).split("\n")
    assert lines[0] == lines[-1] == OWN_ROW
    assert lines.count(OWN_ROW) == 2
    reader = read(render_html(EVERYTHING))
    assert len(reader.rows) == 2
    assert render_html(EVERYTHING).startswith('<div class="mms-meeting-block" lang="en"')
    assert "\n" not in render_html(EVERYTHING)


def test_it_links_everything_there_is() -> None:
    dial = "tel:+14255550100,,7654321#"
    assert read(render_html(EVERYTHING, "onenote:https://contoso.com/n.one")).targets == [
        BLOCK.join_url,
        dial,
        "tel:+18005550199,,7654321#",
        BLOCK.local_numbers_url,
        "onenote:https://contoso.com/n.one",
        BLOCK.help_url,
        "https://contoso.com/legal?a=1&b=2",
        "https://contoso.com/logo.png",
    ]
    text = render_text(EVERYTHING)
    assert f"<{dial}>" in text
    assert "https://contoso.com/legal?a=1&b=2" in text
    assert "Conference ID: 7654321" in text


@pytest.mark.parametrize(
    "block", [NO_PHONE, replace(BLOCK, conference_id=""), replace(BLOCK, toll=None, toll_free=None)]
)
def test_it_has_a_phone_part_only_with_a_number_and_a_conference_id(block: MeetingBlock) -> None:
    assert "tel:" not in render_text(block) + render_html(block)
    assert "Conference ID" not in render_text(block) + render_html(block)


@pytest.mark.parametrize("row", ["=" * 72, "." * 137, "_" * 80, "x" + "=" * 300])
def test_nothing_typed_can_pass_for_a_row_of_a_frame(row: str) -> None:
    number = PhoneNumber("+14255550100", row, row)
    block = replace(
        BLOCK, footer_text=f"a\n{row}\nb", toll=number, conference_id=row, help_url=f"https://contoso.com/{row}"
    )
    for rendered in (render_text(block), render_html(block)):
        assert rendered.count("=" * 72) == 2
        assert "." * 60 not in rendered
        assert "_" * 70 not in rendered


def test_nothing_typed_becomes_markup() -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=y>\x00\u2028'
    number = PhoneNumber(evil, evil, evil)
    block = MeetingBlock(
        "https://contoso.com/a/" + evil,
        "en",
        number,
        number,
        evil,
        "javascript:alert(1)",
        "https://contoso.com/" + evil,
        evil,
        evil,
        evil,
    )
    html = render_html(block, "data:text/html,x")
    assert read(html).tags == {"div", "a"}
    assert "<script" not in html
    assert "javascript:" not in html + render_text(block)
    assert "data:" not in html + render_text(block)
    assert "\x00" not in html + render_text(block)


def test_a_block_that_an_earlier_release_drew_is_current() -> None:
    """Neither the look nor the order of a place makes a block wrong, so nobody is mailed for them."""
    earlier = replace(EVERYTHING, toll=PhoneNumber("+14255550100", "+1 425-555-0100", "United States, Redmond"))
    now = replace(EVERYTHING, toll=PhoneNumber("+14255550100", "+1 425-555-0100", "Redmond, United States"))
    html = re.sub(r' style="[^"]*"| alt="[^"]*"', "", render_html(earlier))
    drawn = samples.calendar(samples.event(text=f"Agenda\n{render_text(earlier)}", html=samples.document(html)))
    with pytest.raises(Declined) as declined:
        rewrite(drawn, now, now=samples.NOW)
    assert declined.value.reason == "already-current"
    moved = replace(now, toll=PhoneNumber("+14255550100", "+1 425-555-0100", "Redmond, Canada"))
    assert b"Canada" in samples.unfolded(rewrite(drawn, moved, now=samples.NOW).body)


def test_the_logo_names_the_organization() -> None:
    block = replace(EVERYTHING, organization='Contoso "Ltd" & <Sons>')
    assert 'alt="Contoso &quot;Ltd&quot; &amp; &lt;Sons&gt;"' in render_html(block)
    assert "<img" not in without_logo(render_html(block))
    assert "<img" in without_logo("<img src=x>" + render_html(block))
    assert without_logo("<p>No block</p><img src=x>") == "<p>No block</p><img src=x>"


def relative_luminance(colour: str) -> float:
    """WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_its_colours_can_be_read_on_white_and_on_black() -> None:
    html = re.sub(r"<img[^>]*>", "", render_html(EVERYTHING))  # stands on a plate of its own
    colours = set(re.findall(r"(?<![-\w])color:(#[0-9a-f]{6})", html))
    assert colours
    for colour in colours:
        assert 1.05 / (relative_luminance(colour) + 0.05) >= 4.5, colour
        assert (relative_luminance(colour) + 0.05) / 0.05 >= 4.5, colour
    assert html.count("<a ") == len(re.findall(r"<a [^>]*color:#", html))
