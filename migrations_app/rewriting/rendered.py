"""HTML of an invitation made harmless, so that a browser can show it in a frame of its own."""

from __future__ import annotations

import nh3

_OF_TEXT = {"a", "b", "br", "code", "em", "font", "i", "s", "small", "span", "strong", "sub", "sup", "u"}
_OF_PARTS = {"blockquote", "center", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p"}
_OF_TABLES = {"table", "tbody", "td", "th", "thead", "tr"}
_LOOKS = {"align", "valign", "bgcolor", "color", "face", "size", "width", "height", "border", "cellpadding"}
_ATTRIBUTES = {"*": {*_LOOKS, "dir", "lang"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}}


def rendered(html: str) -> str:
    """Return the HTML without scripts, styles, pictures and addresses: nothing in it loads, runs or leads anywhere."""
    return nh3.clean(
        html,
        tags={*_OF_TEXT, *_OF_PARTS, *_OF_TABLES, "pre", "ul"},
        attributes=_ATTRIBUTES,
        clean_content_tags={"script", "style", "title"},
        link_rel=None,
    )
