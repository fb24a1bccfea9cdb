"""Microsoft Graph, Microsoft Entra's sign-in and Teams as their documentation describes them: a server on this machine.

It speaks the documented protocol and refuses what is documented to be refused. It is not Exchange: what only a real
tenant can show, it cannot. Each rule names the page of Microsoft's documentation (microsoftgraph/microsoft-graph-docs-
contrib) or the public report that it follows.
"""

from tests.support.graph_stand_in.copies import Copies
from tests.support.graph_stand_in.stand_in import GraphStandIn, graph_stand_in
from tests.support.graph_stand_in.updates import Behaviour

__all__ = ["Behaviour", "Copies", "GraphStandIn", "graph_stand_in"]
