"""Every kind of target by its name (R121). A kind's module is loaded when one of its targets is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, cast

from migrations_app.chat.targets.base import Option, Target, TargetProblem, TargetSettings
from tenants_app.sentences import sentence

KINDS: Mapping[str, str] = {
    "archive": "archive:ArchiveTarget",
    "pchat": "pchat:PersistentChatTarget",
    "matrix": "matrix:MatrixTarget",
    "teams": "teams:TeamsTarget",
    "mattermost": "mattermost:MattermostTarget",
}
"""Module of this package and class, which is made of ``TargetSettings`` alone, in the order in which people choose."""


def class_of(kind: str) -> type[Target]:
    """The class of a kind; ``KeyError`` where there is none of that name."""
    module, _, name = KINDS[kind].partition(":")
    return cast("type[Target]", getattr(import_module(f"{__package__}.{module}"), name))


def options_of(kind: str) -> Sequence[Option]:
    """The settings that only this kind has."""
    return class_of(kind).OPTIONS


def writes(kind: str) -> bool:
    """Whether MMS writes to targets of this kind; otherwise their own tools do (``pchat``)."""
    return class_of(kind).WRITES


def open_target(settings: TargetSettings) -> Target:
    """The target of these settings; nothing is asked of it yet. ``TargetProblem`` where its kind is unknown."""
    if settings.kind not in KINDS:
        raise TargetProblem(
            "chat-target-unknown",
            sentence("There is no kind of target “%(kind)s”.", kind=settings.kind),
            is_of_room=False,
        )
    make: Any = class_of(settings.kind)
    return cast("Target", make(settings))
