"""What was replaced, as it is stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.rewriting.spans import Span, pack, unpack
from tests.support.rewriting import rewrite
from tests.support.samples import BLOCK, NOW, calendar, document, event, skype_html, skype_text

ANY = st.text(st.characters())


@given(st.lists(st.builds(Span, ANY, ANY, ANY, ANY)))
def test_what_is_packed_comes_back(spans: list[Span]) -> None:
    assert unpack(pack(spans)) == tuple(spans)


def test_a_block_costs_a_few_hundred_octets() -> None:
    made = rewrite(calendar(event(text=skype_text(), html=document(skype_html()))), BLOCK, now=NOW)
    packed = pack(made.spans)
    assert unpack(packed) == made.spans
    assert len(packed) < 700
    assert sum(len(span.before) + len(span.after) for span in made.spans) > 5 * len(packed)


def test_what_earlier_versions_stored_can_still_be_read() -> None:
    stored = bytes.fromhex("01038a1919181b00914588a101084461a8c1dc230113c44c6c4ab1b100")
    assert unpack(stored) == (Span("20300308T100000Z", "DESCRIPTION", "Join Skype Meeting", "Join the online meeting"),)


@pytest.mark.parametrize(
    "damage", [b"", b"\x00", b"\x01", b"\x02abc", b"\x01garbage" * 9, pack([Span("", "A", "b" * 99, "c")])[:-4]]
)
def test_damage_is_told(damage: bytes) -> None:
    with pytest.raises(ValueError, match="stored record"):
        unpack(damage)
