"""Telling attendees: iMIP messages, and their delivery."""
