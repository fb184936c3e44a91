"""From findings to what is fit for training: filtered, counted, made into rows, and looked at."""
