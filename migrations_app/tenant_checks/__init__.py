"""Checks of a real Microsoft 365: what holds there, question by question, for the administrator to read and to keep.

Plain Python; knows neither Django nor rows. Each question is one function. Nothing is written, but by ``trying``, in
the mailbox that was named for it.
"""
