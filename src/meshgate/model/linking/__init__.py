"""The steps of `model.link`, one per file: what was declared becomes what is meant.

Every step takes the same sorted `input.Input`, adds what it found wrong to `Findings`, and
returns frozen parts of the model. Steps never mention a dialect or Envoy.
"""
