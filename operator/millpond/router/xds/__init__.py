"""Which router has acknowledged what? Discovery streams and what was published on them."""
