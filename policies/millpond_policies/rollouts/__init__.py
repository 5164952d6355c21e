"""How does a new edition take over, and when is it taken back?"""
