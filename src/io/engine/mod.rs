//! The seam to the network: what carries frames between nodes, and the router of requests above it.
