import gc

# While Python loads a program it looks for garbage in what it has loaded, again and again: with its own limit of 700
# new objects a tenth of each start. Every program of the service loads this package before its settings.
gc.set_threshold(50_000, 20, 20)
