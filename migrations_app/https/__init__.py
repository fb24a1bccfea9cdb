"""Requests over HTTP to servers that an administrator names: checked, bounded, not led astray. Plain Python."""
