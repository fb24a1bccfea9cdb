"""Pages of persistent chat: archives, targets, plans with their rooms, gate and steps (R128, R129)."""
