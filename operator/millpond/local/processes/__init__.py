"""Which processes belong to an embedded cluster, and how do they end?"""
