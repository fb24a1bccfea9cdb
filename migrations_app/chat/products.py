"""Files that an import has made for people to take away, such as the pages to read (R121, R129)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from django.core.exceptions import ValidationError

from migrations_app.chat.target_rows import opened
from migrations_app.chat.targets import of_kind
from migrations_app.chat.targets.base import MakesFiles, TargetProblem
from migrations_app.models import ChatTarget
from tenants_app.audit import Actor, entry
from tenants_app.sentences import sentence


def products_of(target: ChatTarget) -> Sequence[Path]:
    """The files that are ready; none of a target that makes no files, or cannot be opened. Asks no server."""
    if not hasattr(of_kind.class_of(target.kind), "products"):
        return []
    try:
        with opened(target) as there:
            return [file for file in there.products() if file.is_file()] if isinstance(there, MakesFiles) else []
    except TargetProblem:
        return []


def taken(target: ChatTarget, actor: Actor, name: str) -> Path:
    """The file of that name. Who takes it away is audited before: it has the text of rooms (R129).

    Raises ``ValidationError`` where there is none.
    """
    for file in products_of(target):
        if file.name == name:
            entry(target.tenant, actor, "download chat files", target.name, after={"file": name}).save()
            return file
    raise ValidationError(sentence("There is no such file any more: look which there are now."))
