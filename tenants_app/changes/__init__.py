"""Every change of a tenant, user, bridge, number or role: one function per kind of change.

Each locks the rows, checks the whole change, saves it, writes the audit entry and announces it, all in one
transaction. Screens, commands and the Django admin call these and nothing else. A change that cannot be made
raises ``ValidationError`` with a sentence for the administrator and leaves everything as it was.
"""
