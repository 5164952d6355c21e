"""How do routers (Envoy) learn what to serve, and what do they tell?"""
