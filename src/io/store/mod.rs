//! What a node keeps on disk: revisions, the plan under way, states of instances.
