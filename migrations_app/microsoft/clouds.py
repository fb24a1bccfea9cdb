"""The clouds that Microsoft runs, each with a sign-in and a Graph of its own; tokens of one open no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Cloud:
    """Where to sign in and where Graph is: two origins, without a slash at the end.

    ``resource`` is what a token is asked for, where it is not the address at which Graph is reached.
    """

    authority: str
    graph: str
    resource: str = ""

    @property
    def scope(self) -> str:
        """What a token is asked for: all that the application was given."""
        return f"{self.resource or self.graph}/.default"

    def reached_at(self, authority: str, graph: str) -> Cloud:
        """The same cloud, spoken to elsewhere."""
        return replace(self, authority=authority, graph=graph, resource=self.resource or self.graph)


CLOUDS: Mapping[str, Cloud] = {
    "global": Cloud("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    "us-gov": Cloud("https://login.microsoftonline.us", "https://graph.microsoft.us"),
    "us-dod": Cloud("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
    "china": Cloud("https://login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn"),
}
"""By the names of ``MailboxConnection.Cloud``."""
