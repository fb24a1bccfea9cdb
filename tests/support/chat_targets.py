"""A target of each kind for tests; what needs a server has a stand-in for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from migrations_app.chat.targets import teams_graph
from migrations_app.chat.targets.base import TargetSettings
from migrations_app.microsoft import sign_in
from tests.support import teams_chat_stand_in
from tests.support.graph_stand_in import GraphStandIn
from tests.support.matrix_stand_in import in_matrix

Settings = Callable[[Path], AbstractContextManager[TargetSettings]]
"""What opens targets of a kind in a test; a kind that needs a server starts a stand-in for it."""


def in_files(kind: str) -> Settings:
    return lambda folder: nullcontext(TargetSettings("Test", kind, folder=folder))


@contextmanager
def in_teams(folder: Path) -> Iterator[TargetSettings]:
    """Contoso's Teams, for as long as it lasts; waiting for it takes no time."""
    with GraphStandIn() as graph, pytest.MonkeyPatch.context() as patch:
        graph.application.roles = teams_chat_stand_in.ROLES
        names = ("root", "off", "noa", "o'neil+chat", *(f"user{number}" for number in range(511, 600)))
        accounts = (teams_chat_stand_in.OWNER, teams_chat_stand_in.STAND_IN)
        for upn in (*accounts, *(f"{name}@contoso.com" for name in names)):
            graph.add_mailbox(upn)
        patch.setattr(teams_graph, "WAIT", graph.clock.advance)
        patch.setattr(teams_graph, "CLOCK", lambda: graph.clock.now().timestamp())
        sign_in._tokens.clear()
        yield teams_chat_stand_in.settings_at(graph)


WRITTEN: dict[str, Settings] = {
    **{kind: in_files(kind) for kind in ("archive", "mattermost")},
    "teams": in_teams,
    "matrix": in_matrix,
}
"""Every kind to which MMS writes."""
