"""Find, judge, replace and put back the meeting block of an invitation: octets in, octets and a report out.

Plain Python, nothing of Django. Everything here works on one calendar object held in memory.
"""
