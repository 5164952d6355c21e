"""Which operator leads, and what does it run while it does?"""
