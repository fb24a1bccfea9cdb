"""CalDAV (RFC 4791): how MMS speaks to calendars on other people's servers.

Plain Python: it knows neither what is stored nor which user is meant. ``client`` is the way in; ``check`` in ``steps``
tries a connection and says in words what works. Below them ``discovery`` finds the server, ``multistatus`` and
``bodies`` are its XML, ``answers`` says what a refusal means, and ``transport`` carries requests over ``network``,
which decides whom MMS connects to at all.
"""
