"""Pages about meetings, runs and settings: views, forms, tables, filters, charts."""
