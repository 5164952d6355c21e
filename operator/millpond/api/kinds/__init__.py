"""Which kinds of custom resources are there, and what do they say?"""
