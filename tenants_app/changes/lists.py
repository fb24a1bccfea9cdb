"""How accounts arrange their lists, and filters under a name. What is shared with the tenant is audited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext, gettext_noop

from tenants_app.audit import Actor, entry, record
from tenants_app.models import DefaultFilter, ListLayout, SavedFilter, Tenant
from tenants_app.sentences import sentence

MOST_FILTERS = 50
"""Filters of one account for one list of a tenant."""
_TAKEN = gettext_noop("Another filter of this list is shared as “%(name)s”: choose another name.")


def keep_layout(account: User, name: str, columns: Sequence[str], rows: int | None) -> None:
    """From now on the account sees the list so."""
    ListLayout.objects.update_or_create(
        account=account, of_list=name, defaults={"columns": list(columns), "rows": rows}
    )


def drop_layout(account: User, name: str) -> None:
    """From now on the account sees the list as it is usual."""
    ListLayout.objects.filter(account=account, of_list=name).delete()


@transaction.atomic
def save_filter(
    tenant: Tenant,
    account: User,
    actor: Actor,
    *,
    of_list: str,
    name: str,
    query: str,
    is_shared: bool = False,
    is_default: bool = False,
    replaces: bool = False,
) -> SavedFilter:
    """Keep a filter under a name. One of the account's own of that name is exchanged only with ``replaces``."""
    name = " ".join(name.split())
    if not name:
        raise ValidationError(sentence("Give the filter a name."))
    own = SavedFilter.objects.filter(tenant=tenant, of_list=of_list, owner=account)
    kept = own.select_for_update().filter(name=name).first()
    if kept and not replaces:
        raise ValidationError(
            sentence("You have a filter “%(name)s” already: choose another name, or let it be replaced.", name=name)
        )
    if kept is None and own.count() >= MOST_FILTERS:
        raise ValidationError(
            sentence("You have %(most)s filters of this list already: delete one first.", most=MOST_FILTERS)
        )
    made = kept or SavedFilter(tenant=tenant, of_list=of_list, name=name, owner=account)
    before = _audited(kept) if kept and kept.is_shared else {}
    was_shared = made.is_shared
    made.owner_name, made.query = account.get_username(), query
    made.is_shared = is_shared
    made.full_clean(validate_unique=False, validate_constraints=False)
    _save(made)
    if was_shared or is_shared:
        after = _audited(made) if is_shared else {}
        if not was_shared:
            record([entry(tenant, actor, "share filter", _target(made), before, after)])
        elif is_shared:
            record([entry(tenant, actor, "change shared filter", _target(made), before, after)])
        else:
            record([entry(tenant, actor, "unshare filter", _target(made), before, after)])
    if was_shared and not is_shared:
        DefaultFilter.objects.filter(saved=made).exclude(account=account).delete()
    if is_default:
        make_default(made, account)
    return made


@transaction.atomic
def delete_filter(saved: SavedFilter, actor: Actor) -> None:
    """Delete it; lists that opened with it open without a filter."""
    if saved.is_shared:
        record([entry(saved.tenant, actor, "delete shared filter", _target(saved), _audited(saved))])
    saved.delete()


@transaction.atomic
def share_filter(saved: SavedFilter, actor: Actor, *, is_shared: bool) -> bool:
    """Show it to everybody of the tenant, or to its owner alone; whether that is a change."""
    if saved.is_shared == is_shared:
        return False
    saved.is_shared = is_shared
    _save(saved)
    if is_shared:
        record([entry(saved.tenant, actor, "share filter", _target(saved), {}, _audited(saved))])
    else:
        DefaultFilter.objects.filter(saved=saved).exclude(account=saved.owner_id).delete()
        record([entry(saved.tenant, actor, "unshare filter", _target(saved), {"filter": saved.query})])
    return True


@transaction.atomic
def take_over_filter(saved: SavedFilter, account: User, actor: Actor) -> None:
    """From now on the account owns the shared filter."""
    before, saved.owner, saved.owner_name = saved.owner_name, account, account.get_username()
    _save(saved, sentence("You have a filter “%(name)s” yourself: delete that one first.", name=saved.name))
    after = {"owner": saved.owner_name}
    record([entry(saved.tenant, actor, "take over shared filter", _target(saved), {"owner": before}, after)])


def make_default(saved: SavedFilter, account: User) -> None:
    """From now on the list opens with it for the account."""
    DefaultFilter.objects.update_or_create(
        account=account, tenant=saved.tenant, of_list=saved.of_list, defaults={"saved": saved}
    )


def drop_default(saved: SavedFilter, account: User) -> None:
    """From now on the list opens without it for the account."""
    DefaultFilter.objects.filter(account=account, saved=saved).delete()


def forget_own(instance: User, **_: Any) -> None:
    """Before an account is deleted: its own filters go with it. Those that it has shared stay, without owner."""
    SavedFilter.objects.filter(owner=instance, is_shared=False).delete()


def _save(saved: SavedFilter, taken: str = "") -> None:
    try:
        with transaction.atomic():
            saved.save()
    except IntegrityError as error:
        raise ValidationError(taken or gettext(_TAKEN) % {"name": saved.name}) from error


def _target(saved: SavedFilter) -> str:
    return f"{saved.name} ({saved.of_list})"


def _audited(saved: SavedFilter) -> dict[str, str]:
    return {"filter": saved.query}
