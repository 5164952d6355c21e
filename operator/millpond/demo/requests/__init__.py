"""How do requests arrive, and what became of each?"""
