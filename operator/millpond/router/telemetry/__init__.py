"""What did routers count? Reports and answers as numbers per edition and server."""
