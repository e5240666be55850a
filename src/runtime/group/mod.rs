//! Groups: the API, the actor, and the gossip group.
