//! Channels: the API, the actor, and the channels that ship.
