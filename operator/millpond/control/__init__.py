"""What shall be done next, for all apps? The cycle and what it consists of."""
