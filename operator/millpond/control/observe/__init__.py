"""What does the cluster hold? Objects as small values, each read once, grouped by app."""
