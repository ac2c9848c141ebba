"""Servers that stand in for the vendors' APIs over one invented company and its customers.

Here belongs what plays the vendors' part: the world, its story, the endpoints and their faults.
Not here: anything that reads those APIs; nothing in production imports this package.
"""
