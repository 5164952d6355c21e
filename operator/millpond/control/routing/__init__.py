"""What shall routers serve, and which servers may be served?"""
