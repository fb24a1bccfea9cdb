"""The background service as processes: the watchdog, the cluster that it keeps going, and what ties them together."""
