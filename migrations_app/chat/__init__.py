"""Persistent chat: read, planned, written to a target and read back (R100 to R130).

Rooms of this house, from below: ``archive`` is the exchange format; ``sources`` read other systems into it;
``conversion`` says what becomes of rooms and messages at a target; ``targets`` write there and read back; ``verifying``
compares both sides. These five are plain Python. The modules beside them keep rows: stored archives, targets, plans,
imports, the gate and the guided sequence.
"""
