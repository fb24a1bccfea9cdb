"""Comparing a target, read back, with the archive (R123). Plain Python."""
