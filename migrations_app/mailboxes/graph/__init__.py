"""The calendars of Exchange Online by Microsoft Graph: what is asked for, what the answers mean, what is written.

Plain Python; knows neither Django nor rows.
"""
