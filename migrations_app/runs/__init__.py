"""The queue of runs and the work of one run (sections 3 and 4 of the specification)."""
