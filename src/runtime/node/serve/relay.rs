//! Requests that another node knows better are asked there.

use bytes::Bytes;

use crate::{
    io::engine::{AskError, Lane, Router},
    runtime::node::api::{ApiError, ErrorCode, LogsFrom, Reply, Request, SERVICE, decode_reply, encode_request},
    words::{InstancePath, NodeName},
};

/// The node that has to answer a request, when it is another one.
pub(super) fn whose(request: &Request, me: &NodeName) -> Option<NodeName> {
    let node = match request {
        Request::Logs { from: LogsFrom::Node(node), .. } => node,
        Request::Logs { from: LogsFrom::Instance(InstancePath::Component(node, _)), .. } => node,
        Request::Send { to, .. } => &to.node,
        Request::Why { path: InstancePath::Component(node, _) } => node,
        Request::Metrics { node: Some(node) } => node,
        Request::Stop { node } => node,
        _ => return None,
    };
    (node != me).then(|| node.clone())
}

/// Asks another node.
///
/// # Errors
/// What it answers, or that it does not.
pub(super) async fn ask(router: &Router, node: &NodeName, request: Request) -> Result<Reply, ApiError> {
    let deadline = request.deadline();
    let body = Bytes::from(encode_request(request));
    match router.ask(node, SERVICE, Lane::Bulk, body, deadline).await {
        Ok(answer) => decode_reply(&answer),
        Err(error) => Err(unanswered(&error)),
    }
}

fn unanswered(error: &AskError) -> ApiError {
    let code = match error {
        AskError::Timeout { .. } | AskError::Busy { .. } => ErrorCode::Timeout,
        _ => ErrorCode::Unreachable,
    };
    ApiError::new(code, error.to_string()).help("`enact status` shows which nodes are there")
}
