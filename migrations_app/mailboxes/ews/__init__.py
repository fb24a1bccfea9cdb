"""A client of Exchange on-premises by its web services (EWS), with ``exchangelib``, an optional extra of MMS.

Plain Python; knows neither Django nor rows. Without the extra, few of its files can be imported.
"""
