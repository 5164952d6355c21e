"""What does the shell offer after TAB?"""
