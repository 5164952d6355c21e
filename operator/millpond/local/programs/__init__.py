"""Where do the programs of a control plane come from?"""
