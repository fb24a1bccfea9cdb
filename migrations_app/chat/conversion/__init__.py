"""What becomes of categories, rooms, people and messages at a target (R110, R113 to R120, R122). Plain Python."""
