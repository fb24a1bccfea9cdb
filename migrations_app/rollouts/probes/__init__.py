"""Probes: what a check measures by itself, one kind a module (R71). Plain Python; ``kinds.py`` lists them.

A probe gets its parameters and the bounds within which it may reach out, and says what it measured. It reads foreign
octets within limits, and never does what they say.
"""
