"""Whether the service is well, and how far it is."""
