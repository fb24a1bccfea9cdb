"""Who hosts the online meetings behind invitations, and makes new ones (R39 to R43)."""
