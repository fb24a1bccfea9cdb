"""Pages of rollouts: one file for each subject."""
