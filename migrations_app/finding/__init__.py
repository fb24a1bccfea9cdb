"""Finding whatever a person has typed or pasted into one box, among all that a tenant has."""
