"""What Exchange keeps of meetings, whichever way MMS reaches it: events, and the same as calendar objects.

Plain Python; knows neither Django nor rows, nor Graph, nor EWS.
"""
