//! What one event seen adds to the estimated counters.
