//! The link between two nodes as a value: sequence numbers, credits, resend window.
