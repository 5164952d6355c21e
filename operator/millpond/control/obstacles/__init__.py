"""What keeps a pod from serving, in words that stand still?"""
