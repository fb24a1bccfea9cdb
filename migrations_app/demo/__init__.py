"""The Contoso demo: invented people, their old invitations, and nothing of Django."""
