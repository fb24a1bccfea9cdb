"""The tables of the pages, by what they are about; what every list can do is in ``tenants_app.screens.lists``."""
