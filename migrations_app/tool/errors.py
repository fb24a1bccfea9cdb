"""What the tool refuses."""

from __future__ import annotations


class Refused(Exception):
    """Nothing was done, for a reason that is one sentence for people: what is wrong, and what to do."""
