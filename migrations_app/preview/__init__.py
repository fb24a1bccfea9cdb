"""What a change or a run would lead to, and why; writes nothing."""
