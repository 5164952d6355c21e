"""How many servers does an app need?"""
