"""The Meeting Migration Tool: calendars that are given as files are migrated as a run would do it (R38)."""
