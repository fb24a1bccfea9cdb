"""Side-by-side migration: users move between two deployments wave by wave (R60 to R93)."""
