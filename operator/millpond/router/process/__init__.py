"""How does an Envoy start, and end without losing a request?"""
