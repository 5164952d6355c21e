"""How much memory and CPU do containers use?"""
