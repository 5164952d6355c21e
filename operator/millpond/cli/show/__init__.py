"""How is what the cluster holds shown? `get`, `status`, `explain`."""
