//! Gossip: how models spread and who wins.
