"""How does a failure of one app remain its own?"""
