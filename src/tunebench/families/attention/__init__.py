"""Attention functions that all families share.

They are registered with transformers under names of their own: attention to a prefix (virtual tokens), and the same
with its weights returned, for attention maps.
"""
