"""Who makes the changes that tests need."""

from __future__ import annotations

from tenants_app.audit import Actor, Channel

ACTOR = Actor("test", Channel.SCREEN)
