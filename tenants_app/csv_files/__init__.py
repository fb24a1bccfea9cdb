"""CSV files in and out: users, and the audit."""
