"""How is a value checked, alike by the API server and by the operator?"""
