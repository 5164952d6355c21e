"""What does Prometheus know of an app?"""
