"""What starts a migration (section 2 of the specification): rules without a database."""
