"""Targets of a tenant: set, removed, tried, and opened to be written to (R121). Secrets are sealed, as of mailboxes."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from migrations_app.chat import archives, folders
from migrations_app.chat.targets import of_kind
from migrations_app.chat.targets.base import Option, Target, TargetProblem, TargetSettings
from migrations_app.chat.targets.whole_files import private_folder
from migrations_app.models import ChatPlan, ChatTarget
from tenants_app.audit import Actor, entry
from tenants_app.changes.locking import apply_values, lock
from tenants_app.changes.passwords import keep_password
from tenants_app.models import Tenant
from tenants_app.sealing import NoSecretsKey, UnopenableSecret
from tenants_app.sentences import Sentence, sentence, sentence_plural

SECRET = "secret"  # noqa: S105 - the name of the account's own secret among those that are sealed


def target_named(tenant: Tenant, name: str) -> ChatTarget:
    """The tenant's target of that name. Raises ``ValidationError`` with those that there are."""
    found = ChatTarget.objects.filter(tenant=tenant, name__iexact=name.strip()).select_related("tenant").first()
    if found is None:
        names = ", ".join(tenant.chat_targets.values_list("name", flat=True)[:10])
        raise ValidationError(
            sentence("There is no target %(name)s: choose one of %(names)s.", name=name.strip(), names=names)
            if names
            else sentence("There is no target %(name)s: make it with set_chat_target.", name=name.strip())
        )
    return found


def options_of(kind: str) -> Mapping[str, Option]:
    """What only this kind of target has, by name."""
    return {option.name: option for option in of_kind.options_of(kind)}


@transaction.atomic
def set_target(
    tenant: Tenant,
    actor: Actor,
    name: str,
    *,
    kind: str | None = None,
    address: str | None = None,
    account: str | None = None,
    secret: str | None = None,
    options: Mapping[str, str] | None = None,
    new_name: str | None = None,
) -> ChatTarget:
    """Make a target of that name, or change what is given of it; an empty option is taken away.

    Raises ``ValidationError``; of a target to which something was imported, kind and address stay.
    """
    tenant = lock(tenant)
    target = ChatTarget.objects.select_for_update(no_key=True).filter(tenant=tenant, name__iexact=name.strip()).first()
    is_new = target is None
    if target is None:
        target = ChatTarget(tenant=tenant, name=name.strip(), created_by=actor.name, folder=folders.new_name())
        if kind is None:
            raise ValidationError({"kind": sentence("Say of which kind the target is.")})
    if kind is not None and kind not in of_kind.KINDS:
        raise ValidationError(
            {"kind": sentence("There is no kind %(kind)s: use %(kinds)s.", kind=kind, kinds=", ".join(of_kind.KINDS))}
        )
    opened, plain = {} if is_new else _secrets_of(target), dict(target.options)
    before, after = apply_values(
        target,
        {
            field: value.strip()
            for field, value in (("kind", kind), ("address", address), ("account", account), ("name", new_name))
            if value is not None
        },
    )
    _check_still_possible(target, before, secret)
    given = options_of(target.kind)
    for key, value in (options or {}).items():
        if key not in given:
            raise ValidationError({"options": _no_such_option(target.kind, key, given)})
        (opened if given[key].is_secret else plain)[key] = value.strip()
    if secret is not None:
        opened[SECRET] = secret
    opened = {key: value for key, value in opened.items() if value and (key == SECRET or key in given)}
    plain = {key: value for key, value in plain.items() if value and key in given}
    for option in given.values():
        if option.is_required and not (opened.get(option.name) or plain.get(option.name)):
            raise ValidationError(
                {
                    "options": sentence(
                        "A target of kind %(kind)s needs %(option)s: %(help)s",
                        kind=target.kind,
                        option=option.name,
                        help=option.help,
                    )
                }
            )
    changed, shown = apply_values(target, {"options": plain})
    before, after = before | changed, after | shown
    target.full_clean(exclude=["sealed_password"])
    target.save()
    if is_new or secret is not None or any(given[key].is_secret for key in options or {}):
        sealed = json.dumps(opened, ensure_ascii=False) if opened else ""
        if target.sealed_password or sealed:
            keep_password(target, sealed)
            target.save(update_fields=["sealed_password"])
            after[SECRET] = "changed" if opened else "removed"
    if is_new or after:
        entry(tenant, actor, "add chat target" if is_new else "change chat target", target.name, before, after).save()
    return target


def _check_still_possible(target: ChatTarget, before: Mapping[str, Any], secret: str | None) -> None:
    """Raise ``ValidationError`` where what changes of the target must not, or its secret would go somewhere else."""
    if target.pk is None:
        return
    if {"kind", "address"} & before.keys() and target.plans.filter(state__in=ChatPlan.STARTED).exists():
        raise ValidationError(
            sentence(
                "Rooms were imported into %(name)s: its kind and address stay. Make another target.", name=target.name
            )
        )
    if "address" in before and target.sealed_password and secret is None:
        old, new = urlsplit(str(before["address"])), urlsplit(target.address)
        if (old.scheme, old.netloc) != (new.scheme, new.netloc):
            raise ValidationError(
                {
                    "address": sentence(
                        "Enter the secret too: it is not sent to another server than the one it was given for."
                    )
                }
            )


def _no_such_option(kind: str, name: str, given: Mapping[str, Option]) -> Sentence:
    if not given:
        return sentence("A target of kind %(kind)s has no option %(name)s: leave it out.", kind=kind, name=name)
    return sentence(
        "A target of kind %(kind)s has no option %(name)s: it has %(options)s.",
        kind=kind,
        name=name,
        options=", ".join(given),
    )


def why_not_removed(target: ChatTarget) -> str:
    """The sentence that says why the target stays; empty where it may be removed."""
    planned = target.plans.count()
    if not planned:
        return ""
    return sentence_plural(
        "%(n)s plan is about the target %(name)s, so it stays: the report names it.",
        "%(n)s plans are about the target %(name)s, so it stays: their reports name it.",
        planned,
        name=target.name,
    )


@transaction.atomic
def remove_target(target: ChatTarget, actor: Actor) -> None:
    """Remove a target for which nothing was planned. Raises ``ValidationError``."""
    lock(target.tenant)
    if why := why_not_removed(target):
        raise ValidationError(why)
    folder = folder_of(target)
    entry(target.tenant, actor, "remove chat target", target.name, {"kind": target.kind}, {}).save()
    target.delete()
    with suppress(OSError):  # what was made there stays
        folder.rmdir()


def folder_of(target: ChatTarget) -> Path:
    """Where the target keeps what it makes, readable by the account of the service alone (R129)."""
    return folders.folder_of(target.tenant_id, folders.TARGETS, target.folder)


def has_secret(target: ChatTarget, name: str = SECRET) -> bool:
    """Whether that secret of it is kept; whatever it is, it is shown to nobody."""
    return bool(_secrets_of(target).get(name))


def is_secret(target: ChatTarget, text: str) -> bool:
    """Whether that is the secret of its account, for whoever has it already."""
    return hmac.compare_digest(_secrets_of(target).get(SECRET, "").encode(), text.encode())


def _secrets_of(target: ChatTarget) -> dict[str, str]:
    try:
        sealed = target.password
    except (NoSecretsKey, UnopenableSecret) as error:
        raise ValidationError(str(error)) from None
    return dict(json.loads(sealed)) if sealed else {}


@contextmanager
def opened(target: ChatTarget) -> Iterator[Target]:
    """The target itself, to look, write and read back. Raises ``TargetProblem``."""
    try:
        kept = _secrets_of(target)
    except ValidationError as error:
        raise TargetProblem("chat-secret-unopenable", error.messages[0], is_of_room=False) from None
    folder = folder_of(target)
    private_folder(folder)
    if target.kind == ChatTarget.Kind.PCHAT and (name := target.options.get("archive")):
        seen = _seen(target, name)
    else:
        seen = None
    told = TargetSettings(
        name=target.name,
        kind=target.kind,
        address=target.address,
        account=target.account,
        secret=kept.pop(SECRET, ""),
        options={**target.options, **kept},
        folder=folder,
        allowed_hosts=settings.MMS_ALLOWED_MAIL_HOSTS,
        microsoft_endpoints=settings.MMS_MICROSOFT_ENDPOINTS,
        language=settings.LANGUAGE_CODE,
        seen=seen,
    )
    with of_kind.open_target(told) as found:
        yield found


def _seen(target: ChatTarget, name: str) -> Path:
    """Where the archive lies that was made of the tables of the new pool."""
    try:
        return archives.folder_of(archives.find_archive(target.tenant, name))
    except ValidationError as error:
        raise TargetProblem("chat-tables-missing", error.messages[0], is_of_room=False) from None


@dataclass(frozen=True, slots=True)
class Tried:
    """What one step of trying a target has found."""

    ok: bool
    step: str
    sentence: str


def try_target(target: ChatTarget) -> Iterator[Tried]:
    """Open the target and look; nothing is changed there. The first step that fails is the last one."""
    step = "connect"
    try:
        with opened(target) as there:
            yield Tried(True, step, sentence("The target can be opened."))
            step = "look"
            found = there.look()
            yield Tried(
                True,
                step,
                sentence(
                    "Rooms there: %(rooms)s. Categories: %(categories)s.",
                    rooms=len(found.rooms),
                    categories=len(found.categories),
                ),
            )
            step = "retention"
            yield Tried(True, step, _retention(found.retention_is_known, found.retention_days))
            for finding in there.findings():
                yield Tried(True, finding.code, finding.sentence)
    except TargetProblem as problem:
        yield Tried(False, step, problem.sentence)


def _retention(is_known: bool, days: int | None) -> Sentence:
    if not is_known:
        return sentence(
            "It does not say whether it deletes old messages: a person has to accept that before an import."
        )
    if days is None:
        return sentence("It keeps old messages.")
    return sentence_plural(
        "It deletes messages after %(n)s day: history that is older would be lost at once.",
        "It deletes messages after %(n)s days: history that is older would be lost at once.",
        days,
    )
