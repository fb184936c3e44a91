"""Models in processes of their own, on this machine or others, hosted by Ray."""
