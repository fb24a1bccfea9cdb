"""Screens about who people are."""
