"""The MMS chat archive, version 1 (R100 to R102): read by stream, checked, written. Plain Python."""
