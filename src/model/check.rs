//! Checks a model and names every fault.
