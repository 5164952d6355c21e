"""How does a Prometheus run on this machine?"""
