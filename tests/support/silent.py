"""A program in place of the cluster, which gives no sign of life until it is ended."""

import signal

if __name__ == "__main__":
    signal.pause()
