"""What holds for every invitation that is rewritten, whatever it says and whatever the tenant's settings say."""

import re
from dataclasses import replace

import pytest
from hypothesis import assume, given, note
from hypothesis import strategies as st

from migrations_app.calendars.objects import split_objects
from migrations_app.rewriting.block import MeetingBlock, PhoneNumber, render_html, render_text
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.rewrite import Rewrite
from migrations_app.rewriting.spans import pack, unpack
from migrations_app.rewriting.undo import undo
from tests.support.rewriting import rewrite
from tests.support.samples import NOW
from tests.support.strategies import LANGUAGES, OLD_BLOCKS_WITH_NOTES, OWN_JOIN_URL, Invitation, blocks, invitations

STAMPS = (b"SEQUENCE:", b"DTSTAMP:")
# A block of our own is replaced by one of the same meeting, so every block here has the same join link.
BLOCKS = blocks(st.just(OWN_JOIN_URL))


def physical_lines(source: bytes) -> list[bytes]:
    """The content lines with their folds and line endings, but those that every update changes."""
    lines = re.findall(rb"[^\n]+(?:\n[ \t][^\n]*)*\n", source)
    return [line for line in lines if not unfolded(line).startswith(STAMPS)]


def unfolded(line: bytes) -> bytes:
    return re.sub(rb"\r?\n[ \t]", b"", line).removesuffix(b"\n").removesuffix(b"\r")


def without_stamps(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if not line.startswith(STAMPS)]


def rewritten(invitation: Invitation, block: MeetingBlock) -> Rewrite:
    note(b"\n".join(invitation.lines()).decode("utf-8", "backslashreplace"))
    return rewrite(invitation.source, block, now=NOW)


def assert_says(body: bytes, invitation: Invitation, *blocks: MeetingBlock) -> None:
    """Every line says what it should after these blocks; what precedes and follows a block is what it was."""
    assert [unfolded(line) for line in physical_lines(body)] == without_stamps(invitation.lines(*blocks))


@given(invitations(), BLOCKS)
def test_r21_every_octet_outside_the_replaced_pieces_stays(invitation: Invitation, block: MeetingBlock) -> None:
    made = rewritten(invitation, block)
    assert_says(made.body, invitation, block)
    before, after = iter(physical_lines(invitation.source)), iter(physical_lines(made.body))
    for said, says in invitation.histories(block):
        if said is None or said.startswith(STAMPS):
            continue
        was, is_now = next(before), next(after) if says is not None else b""
        assert is_now == was or said != says
    assert invitation.past in made.body
    assert made.sequence == 4


@given(invitations(), BLOCKS)
def test_r25_a_second_rewrite_changes_nothing(invitation: Invitation, block: MeetingBlock) -> None:
    made = rewritten(invitation, block)
    with pytest.raises(Declined) as declined:
        rewrite(made.body, block, now=NOW)
    assert declined.value.reason == "already-current"


@given(invitations(), BLOCKS, BLOCKS)
def test_the_new_block_is_found_and_replaced_again(
    invitation: Invitation, block: MeetingBlock, other: MeetingBlock
) -> None:
    assume(block.language != other.language)
    made = rewritten(invitation, block)
    assert_says(rewrite(made.body, other, now=NOW).body, invitation, block, other)


@given(invitations(), BLOCKS)
def test_undo_restores_all_but_the_stamps(invitation: Invitation, block: MeetingBlock) -> None:
    made = rewritten(invitation, block)
    back = undo(made.body, unpack(pack(made.spans)), now=NOW).body
    # A property that was taken out comes back at another place of its component.
    restored = sorted(unfolded(line) for line in physical_lines(back))
    assert restored == sorted(without_stamps(invitation.lines()))
    assert invitation.past in back


@given(invitations(OLD_BLOCKS_WITH_NOTES), st.sampled_from(LANGUAGES), st.sampled_from(LANGUAGES), st.booleans())
def test_r21_the_link_to_shared_notes_survives_two_rewrites(
    invitation: Invitation, first: str, second: str, has_phone: bool
) -> None:
    assume(first != second)
    number = PhoneNumber("+14255550100", "+1 (425) 555-0100", "Seattle")
    block = MeetingBlock(OWN_JOIN_URL, first, number if has_phone else None, conference_id="7654321")
    other = replace(block, language=second, toll=None if has_phone else number)
    made = rewritten(invitation, block)
    assert_says(made.body, invitation, block)
    assert_says(rewrite(made.body, other, now=NOW).body, invitation, block, other)
    assert invitation.notes


SETTINGS = MeetingBlock(
    OWN_JOIN_URL,
    "en",
    PhoneNumber("+14255550100", "+1 (425) 555-0100", "Seattle"),
    PhoneNumber("+18005550199", "+1 (800) 555-0199", "United States"),
    "7654321",
    "https://meet.contoso.com/dialin",
    "https://help.contoso.com/meetings",
    "https://www.contoso.com/legal",
    "https://www.contoso.com/logo.png",
    "Room 7",
)
OTHER_SETTINGS: dict[str, object] = {
    "language": "it",
    "toll": PhoneNumber("+14255550142", "+1 (425) 555-0142", "Seattle"),
    "toll_free": None,
    "conference_id": "1234567",
    "local_numbers_url": "https://meet.contoso.com/numbers",
    "help_url": "https://help.contoso.com/online",
    "legal_url": "",
    "logo_url": "https://www.contoso.com/logo-2.png",
    "footer_text": "Room 8",
}


@given(invitations(), st.sampled_from(sorted(OTHER_SETTINGS)))
def test_r25_every_changed_setting_is_written(invitation: Invitation, name: str) -> None:
    assume(name != "logo_url" or any(line.startswith(b"X-ALT-DESC") for line in invitation.lines()))
    made = rewritten(invitation, SETTINGS)
    other = replace(SETTINGS, **{name: OTHER_SETTINGS[name]})  # type: ignore[arg-type]
    assert_says(rewrite(made.body, other, now=NOW).body, invitation, SETTINGS, other)


@given(blocks())
def test_a_block_is_one_intact_block_whatever_the_settings_say(block: MeetingBlock) -> None:
    """Settings are anybody's text: none may end the frame early, open another one or lose the join link."""
    text, html = render_text(block), render_html(block)
    assert [line for line in text.split("\n") if re.search(r"([=._])\1{19}", line)] == ["=" * 72, "=" * 72]
    assert len(re.findall(r"={72}", html)) == 2
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", text + html)
    assert "\n" not in html
    assert text.startswith("=" * 72)
    assert text.endswith("=" * 72)


@given(st.lists(invitations(), min_size=2, max_size=3))
def test_r21_objects_of_one_file_come_apart_octet_for_octet(several: list[Invitation]) -> None:
    def named(invitation: Invitation, uid: bytes) -> bytes:
        lines = invitation.lines()
        return invitation.layout.write([b"UID:" + uid if line.startswith(b"UID:") else line for line in lines])

    files = {f"{number}@contoso.com": named(each, b"%d@contoso.com" % number) for number, each in enumerate(several)}
    assert dict(split_objects(b"".join(files.values()))) == files
