"""How often the directory may be asked, so that nobody finds meetings by trying.

What is counted is forgotten after a minute, and kept in memory: each process of the web server counts for itself.
The database is not asked, so that a flood costs it nothing.
"""

from __future__ import annotations

from django.core.cache import caches

from tenants_app.models import Tenant

SECONDS = 60
"""For how long a try is remembered, at most."""

REQUESTS_OF_AN_ADDRESS = 600
MISSES_OF_AN_ADDRESS = 60
MISSES_IN_A_TENANT = 600
MISSES_OF_A_BRIDGE = 300
"""Of an address that asks with the key, and whose own misses are those of the people who call."""
MISSES_OF_ALL_BRIDGES = 900


class Throttle:
    """The tries of one address in one tenant; those with the directory key are counted apart from strangers'.

    A miss is a meeting or an ID that is not there, and a wrong key. So strangers can keep no bridge out.
    """

    def __init__(self, tenant: Tenant, address: str, *, has_key: bool) -> None:
        self._counts = caches["throttle"]
        who = f"{tenant.pk}/{'bridge' if has_key else 'stranger'}"
        self._misses = {
            f"{who}/{address}": MISSES_OF_A_BRIDGE if has_key else MISSES_OF_AN_ADDRESS,
            who: MISSES_OF_ALL_BRIDGES if has_key else MISSES_IN_A_TENANT,
        }
        self._requests = {} if has_key else {f"{who}/{address}/asks": REQUESTS_OF_AN_ADDRESS}

    def lets_in(self) -> bool:
        """Whether a request may be answered; counts it."""
        used_up = any(self._counts.get(name, 0) >= most for name, most in (self._misses | self._requests).items())
        self._count(self._requests)
        return not used_up

    def count_miss(self) -> None:
        self._count(self._misses)

    def _count(self, names: dict[str, int]) -> None:
        for name in names:
            self._counts.add(name, 0, SECONDS)
            try:
                self._counts.incr(name)
            except ValueError:  # forgotten between the two
                self._counts.add(name, 1, SECONDS)
