"""How does a server leave without a lost request?"""
