"""How does a container run as a process: start, probes, logs, end?"""
