"""How is the API server reached? Paths, JSON, caches, the Lease: nothing of what Millpond decides."""
