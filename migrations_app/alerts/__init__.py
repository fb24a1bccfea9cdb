"""Telling a tenant's administrators by mail and webhook what needs them while they are away."""
