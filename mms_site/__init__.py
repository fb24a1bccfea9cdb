import gc

# While Python loads a program it looks for garbage in what it has loaded, again and again: with its own limit of 700
# new objects a seventh of each start. Every program of the service loads this package first.
gc.set_threshold(20_000, 20, 20)
