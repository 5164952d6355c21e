"""What may people write in custom resources, and how is it read?"""
