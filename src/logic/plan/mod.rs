//! The plan: which adaptations bring a node from one model to another, in which order, and how they are undone.
