"""What stands on a page, and what a browser would post of it."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

from django.test import Client

from migrations_app.urls import UIDConverter


def key_of(uid: str) -> str:
    """The meeting of that UID in an address below a user."""
    return UIDConverter().to_url(uid)


def words(page: bytes) -> str:
    """The text of a page on one line, without its tags."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page.decode())))


def announced(part: bytes) -> str:
    """What a screen reader is told when the part of a page comes."""
    (told,) = re.findall(rb'<div id="announcer" hx-swap-oob="innerHTML">(.*?)</div>', part, re.DOTALL)
    return words(told).strip()


class _Fields(HTMLParser):
    """Reads what a browser posts for the forms of a page, with its line breaks as CR LF."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        name = values.get("name", "")
        if tag == "input" and name and ("checked" in values or values.get("type") != "checkbox"):
            self.values[name] = re.sub(r"\r?\n", "\r\n", values.get("value", "on" if "checked" in values else ""))
        elif tag in {"select", "textarea"}:
            self._inside = name
            self.values.setdefault(name, "")
        elif tag == "option" and "selected" in values:
            self.values[self._inside] = values["value"]

    def handle_data(self, data: str) -> None:
        if self.lasttag == "textarea" and self._inside:
            self.values[self._inside] = re.sub(r"\r?\n", "\r\n", data.removeprefix("\n"))

    def handle_endtag(self, tag: str) -> None:
        if tag in {"select", "textarea"}:
            self._inside = ""


def shown(answer: Any) -> dict[str, str]:
    """What the page would post if nothing on it were edited."""
    fields = _Fields(answer.content.decode()).values
    return {name: value for name, value in fields.items() if name not in {"preview", "csrfmiddlewaretoken", "on"}}


def settings_form(client: Client, **edited: str) -> dict[str, Any]:
    form = client.get("/contoso/settings/").context["form"]
    return {field.name: "" if field.value() is None else field.value() for field in form} | edited


def user_form(client: Client, upn: str, **edited: Any) -> dict[str, Any]:
    """What a browser would post: the form as it stands, with ``edited`` fields; None leaves a box unticked."""
    form = client.get(f"/contoso/users/{upn}/").context["form"]
    values = {field.name: field.value() for field in form} | edited
    return {name: value for name, value in values.items() if value not in (None, False)}


def users_found(client: Client, query: str) -> list[str]:
    table = client.get(f"/contoso/users/{query}").context["table"]
    return [row.record.upn.partition("@")[0] for row in table.paginated_rows]


def unmarked(page: str) -> str:
    """A page without the marks around the characters of a line that changed."""
    return page.replace("<mark>", "").replace("</mark>", "")
