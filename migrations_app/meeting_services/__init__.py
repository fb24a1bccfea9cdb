"""Who hosts online meetings, and makes them anew (R39)."""
