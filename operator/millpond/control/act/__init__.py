"""How does a verdict become a write?"""
