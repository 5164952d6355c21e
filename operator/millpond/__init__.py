"""Elastic application servers for Kubernetes: the part that touches the world."""
