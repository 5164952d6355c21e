"""Where does a demo play?"""
