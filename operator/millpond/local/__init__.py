"""How does all of it run on a laptop, without a cluster? Only `millpond cluster`, `node` and `demo` need it."""
