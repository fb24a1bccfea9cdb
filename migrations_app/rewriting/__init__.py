"""Read and rewrite invitations: bytes in, bytes out, nothing of Django.

Everything here works on one calendar object (RFC 5545) held in memory. Reading dates goes through
icalendar and dateutil; writing is done by splicing the raw octets, because every serialiser alters
lines it was not asked to touch.
"""
