"""What pages are made of: cards, notices, states, buttons that act, fields. Templates of ``parts/`` draw them.

A component with a body is a block, such as ``{% notice "failed" title="It failed." %}…{% endnotice %}``. One that is
handed to another, as the button of a notice, is kept with ``{% capture as name %}`` first.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib import messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.contrib.messages.storage.base import Message
from django.forms import BoundField
from django.template import Context
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from tenants_app.templatetags.page_parts import icon

register = template.Library()

ICONS = {
    "failed": "alert-triangle",
    "pending": "alert-triangle",
    "progress": "info-circle",
    "succeeded": "circle-check",
    "quiet": "info-circle",
}
"""The icon of a notice where none is given, by its tone: one of the ``tone-…`` classes of ``mms.css``."""

MESSAGE_TONES = {
    messages.ERROR: "failed",
    messages.WARNING: "pending",
    messages.SUCCESS: "succeeded",
    messages.INFO: "progress",
}


def draw(context: Context, template_name: str, **values: Any) -> SafeString:
    """The template with these values alone, and the token that its forms need."""
    return render_to_string(template_name, values | {"csrf_token": context.get("csrf_token")})


@register.simple_block_tag
def capture(content: SafeString) -> SafeString:
    """Nothing of its own: ``{% capture as name %}`` keeps what is drawn for another component."""
    return content


@register.simple_block_tag(takes_context=True)
def card(
    context: Context, content: SafeString, title: str, name: str, count: int | str | None = None, css: str = ""
) -> SafeString:
    """A section with a title. ``name`` makes the title's id, ``count`` stands behind the title."""
    return draw(context, "parts/card.html", content=content, title=title, name=name, count=count, css=css)


@register.simple_block_tag(takes_context=True)
def form_card(
    context: Context,
    content: SafeString,
    title: str,
    to: str,
    *args: Any,
    form: Any,
    submit: str,
    css: str = "",
    is_primary: bool = True,
) -> SafeString:
    """A form of its own that posts to the address named ``to``; ``css`` is that of its body."""
    return draw(
        context,
        "parts/form_card.html",
        content=content,
        title=title,
        address=reverse(to, args=args),
        form=form,
        submit=submit,
        css=css,
        is_primary=is_primary,
    )


@register.simple_block_tag(takes_context=True)
def notice(
    context: Context,
    content: SafeString,
    tone: str,
    title: str = "",
    icon: str = "",
    action: str = "",
    css: str = "",
    html_id: str = "",
    is_alert: bool = False,
) -> SafeString:
    """Something to know, with what to do about it as ``action``."""
    return draw(
        context,
        "parts/notice.html",
        content=content,
        tone=tone,
        title=title,
        icon=icon or ICONS[tone],
        action=action,
        css=css,
        html_id=html_id,
        is_alert=is_alert,
    )


@register.simple_block_tag(takes_context=True)
def nothing(context: Context, content: SafeString, title: str = "", icon: str = "", size: str = "") -> SafeString:
    """Says that there is nothing to show, and why. ``size``: empty, ``short`` or ``large``."""
    return draw(context, "parts/nothing.html", content=content, title=title, icon=icon, size=size)


@register.simple_block_tag(takes_context=True)
def post_button(
    context: Context,
    content: SafeString,
    to: str,
    *args: Any,
    icon: str = "",
    css: str = "",
    html_id: str = "",
    seen: int | None = None,
) -> SafeString:
    """A button that posts to the address named ``to``; ``seen`` says how many of what it is about the page
    shows, or which."""
    values = {"content": content, "address": reverse(to, args=args), "icon": icon, "css": css, "html_id": html_id}
    return draw(context, "parts/post_button.html", **values, seen="" if seen is None else str(seen))


@register.simple_block_tag
def back(content: SafeString, to: str, *args: Any) -> SafeString:
    """The way back to the page that this one belongs to."""
    return format_html('<a class="back" href="{}">{}{}</a>', reverse(to, args=args), icon("arrow-left"), content)


@register.simple_tag
def state(tone: str, icon_name: str, label: str, href: str = "", css: str = "") -> SafeString:
    """A badge, with ``href`` one that leads somewhere."""
    classes = f"state tone-{tone} {css}".strip()
    if href:
        return format_html('<a class="{}" href="{}">{}{}</a>', classes, href, icon(icon_name), label)
    return format_html('<span class="{}">{}{}</span>', classes, icon(icon_name), label)


@register.simple_tag
def on_off(on: bool, css: str = "") -> SafeString:
    """The badge of a switch."""
    return state("succeeded", "check", _("On"), css=css) if on else state("quiet", "x", _("Off"), css=css)


@register.simple_tag
def figure(label: str, number: int | str) -> SafeString:
    """One number of a ``<dl class="facts figures">``; "…" for one that is being counted."""
    return format_html('<div><dt>{}</dt><dd class="stat-number">{}</dd></div>', label, intcomma(number))


@register.inclusion_tag("parts/field.html")
def field(field: BoundField, wide: bool = False) -> dict[str, Any]:
    """A field of a form with its label, its errors and its help; ``wide`` takes a row of its own."""
    return {"field": field, "wide": wide}


@register.filter
def tone(message: Message) -> str:
    """The tone of a message to who is signed in."""
    return MESSAGE_TONES[message.level]
