"""Where meetings are kept: one interface, one module for each kind of mailbox."""
