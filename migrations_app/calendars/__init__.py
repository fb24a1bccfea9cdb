"""Calendar objects (RFC 5545) as octets: lines, facts, people, revisions, iTIP. Plain Python, nothing of Django.

Dates are read with icalendar and dateutil. Everything else is read, and written, on the raw octets, because every
serialiser alters lines that it was not asked to touch.
"""
