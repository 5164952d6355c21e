"""A demo on kind: Kubernetes nodes as containers, Millpond from its chart and image, as on any cluster."""
