"""What does the planner see? From observed values to its Snapshot."""
