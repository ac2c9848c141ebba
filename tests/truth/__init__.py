"""What is true of the invented world, computed from its own records by the definitions of the figures.

Here belongs no SQL and nothing of the product: what both have in common is the text that they follow.
"""
