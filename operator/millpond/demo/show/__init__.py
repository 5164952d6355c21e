"""How does a run look, live and as a picture?"""
