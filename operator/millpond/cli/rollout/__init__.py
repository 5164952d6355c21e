"""`millpond rollout`: roll out editions, steer them, and wait for the outcome; for people and for pipelines."""
