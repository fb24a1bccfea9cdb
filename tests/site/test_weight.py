"""Pages travel compressed, but not where another site could learn from their size."""

from __future__ import annotations

import gzip
import re

import pytest
from django.test import Client

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


def sign_in_page(**headers: str) -> tuple[str, str]:
    """The page, and how it travelled."""
    answer = Client().get("/accounts/login/", headers={"Accept-Encoding": "br, gzip", **headers})
    assert "Accept-Encoding" in answer["Vary"] or headers
    content = gzip.decompress(answer.content) if answer.get("Content-Encoding") == "gzip" else answer.content
    assert int(answer["Content-Length"]) == len(answer.content)
    return content.decode(), answer.get("Content-Encoding", "as it is")


@pytest.mark.parametrize("asked_by", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}])
def test_pages_travel_compressed(db: None, asked_by: dict[str, str]) -> None:
    page, travelled = sign_in_page(**asked_by)

    assert (page.count("</html>"), travelled) == (1, "gzip")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_site_asks_for_is_not_compressed(db: None, site: str) -> None:
    page, travelled = sign_in_page(**{"Sec-Fetch-Site": site})

    assert (page.count("</html>"), travelled) == (1, "as it is")


def test_the_token_of_forms_reads_differently_in_each_answer(db: None) -> None:
    client = Client()
    tokens = [TOKEN.findall(client.get("/accounts/login/").content.decode()) for _ in range(2)]

    assert tokens[0]
    assert not set(tokens[0]) & set(tokens[1])
