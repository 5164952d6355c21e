"""How does Envoy say it? Routes, clusters, endpoints and listeners as its resources."""
