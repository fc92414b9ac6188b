"""Forward models of the world, in plain numpy: what turns a clean scene, field or state into what an instrument sees.

Noise, speckle, a sensor's blur and sampling, rain reflectivity and the systems of dynamics have their rooms here when
the pipelines that need them are built.
"""
