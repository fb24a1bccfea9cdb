"""Campaigns: tests that take hours, run by hand or at night. They go on where they were interrupted."""
