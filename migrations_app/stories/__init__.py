"""What happened to one meeting: finding it, and its whole story over all runs."""
