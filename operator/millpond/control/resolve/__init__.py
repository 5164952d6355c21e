"""What does each app ask for, and what of it may it have?"""
