"""Training: a line of steps that survives interruptions, with Keras `fit` doing the steps.

`fit.fit` trains; `distribution.resolve`, `compute.precision_scope` and `transfer.transfer` prepare a network for it.
"""
