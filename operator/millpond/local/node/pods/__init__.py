"""What is a pod on a process node, and what does it know of itself?"""
