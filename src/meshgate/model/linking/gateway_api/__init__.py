"""The steps of `model.link` that the Gateway API needs for itself: listeners, attachment, rules, statuses."""
