"""What is said about a cycle? Status, conditions, events, metrics."""
