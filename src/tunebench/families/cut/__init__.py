"""How families cut a model above its frozen stages.

`stand_ins` holds the modules that take the place of what lies below the cut, `one_token` the top layer for a head that
reads one token of each text.
"""
